        .rodata
        .incbin "nothing.bin"
        .incbin "inputs/good.s", 10000

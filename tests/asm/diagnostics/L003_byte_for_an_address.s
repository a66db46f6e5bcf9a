## a.s
        nop
        .rodata
here:   .byte   here

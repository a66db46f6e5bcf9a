        .rodata
        .zero   100
        .org    50

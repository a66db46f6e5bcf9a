        .rept   3
        nop
        .irp    a, 1, 2
        .endr

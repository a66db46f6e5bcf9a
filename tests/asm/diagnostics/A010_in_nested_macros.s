.macro inner r
        lii     \r, 1
.endm
.macro outer r
        nop
        inner   \r
.endm
        .irp    r, x5, x6
        outer   \r
        .endr

.irp 5, 1, 2
        nop
.endr
.irpc c, a, b
        nop
.endr

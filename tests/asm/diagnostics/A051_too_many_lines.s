.rept 1 << 40
        nop
.endr

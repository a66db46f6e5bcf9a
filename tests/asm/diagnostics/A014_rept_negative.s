.rept 2 - 3
        nop
.endr

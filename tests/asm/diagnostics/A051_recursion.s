.macro again
        nop
        again
.endm
        again
        j       nowhere

        nop
.macro m a
        nop
.macro n
.endm

.macro
        nop
.endm

.macro m
.endm
.macro m
        nop
.endm

.macro m
        .ifdef  LATER
        nop
.endm
        m

.macro vadd d, a, b
        vmul    \d, \a, \b
.endm

.macro twice d
        vadd    \d, \e, \e
.endm
        twice   t0

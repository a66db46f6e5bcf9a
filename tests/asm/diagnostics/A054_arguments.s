.macro fill to:req, value=0
        vfill   \to, \value
.endm
.macro none
        nop
.endm
        fill
        fill    t0, 1, 2
        fill    value=3
        fill    to=t0, to=t1
        fill    to=t0, 5
        none    x5

.macro product d, a, b
        vmuul   \d, \a, \b
.endm
        product t0, t1, t2

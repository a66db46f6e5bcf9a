.macro tile_add d, a, b
        vadd    \d, \a, \b
.endm
        tile_ad t0, t1, t2

        .include "inputs/goood.s"
        li      x5, HERE                # which that file may define
        tile_add t0, t1, t2

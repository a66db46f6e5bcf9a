# bug: the half that was filled is not the half that is used
# expect: uninitialized
# operand: src
# says: `a` (sram 0x40..0x80)
# args: y f32 4 4
        .kernel k
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [8, 4]
        .tile   b, sram, f32, [4, 4]
        tslice     t20, a, 0, 0, 4
        tslice     t21, a, 0, 4, 4
        vfill      t20, 1.0
        vexp       b, t21       #! #-
#+      vexp       b, t20
        drain
        dma.store  y, b
        halt

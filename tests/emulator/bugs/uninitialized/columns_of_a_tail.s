# bug: a tile is as wide as the bound of C; the maximum also takes the columns behind C
# expect: uninitialized
# operand: src
# says: element [0, 5] and 11 more of `a`
# args: x f32 4 5
        .kernel k
        .param  x, in, f32, [4, C]
        .param  y, out, f32, [4, 1]
        .dim    C
        .tile   a, sram, f32, [4, 8]
        .tile   m, sram, f32, [4, 1]
        tset       t20, a, 1, C
        dma.load   t20, x      #?
        drain
        vmax.row   m, a        #! #-
#+      vmax.row   m, t20
        drain
        dma.store  y, m
        halt

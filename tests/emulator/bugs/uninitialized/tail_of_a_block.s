# bug: the last block has 3 rows, and the sum runs over all 4 of the tile
# expect: uninitialized
# operand: src
# says: element [3, 0] and 7 more of `a`; were never written; is a tail shorter than the tile?
# args: x f32 3 8; y f32 1 8
        .kernel k
        .param  x, in, f32, [R, 8]
        .param  y, out, f32, [1, 8]
        .dim    R
        .tile   a, sram, f32, [4, 8]
        .tile   s, sram, f32, [1, 8]
        tset       t20, a, 0, R
        dma.load   t20, x      #?
        drain
        vsum.col   s, a        #! #-
#+      vsum.col   s, t20
        drain
        dma.store  y, s
        halt

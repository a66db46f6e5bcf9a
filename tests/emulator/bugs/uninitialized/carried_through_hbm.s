# bug: a tile is spilled to a tensor and loaded again, but half of it was never computed
# expect: uninitialized
# operand: a
# says: element [2, 0] and 7 more of `b`; the copy has brought the missing elements here
# args: y f32 4 4; tmp f32 4 4
        .kernel k
        .param  tmp, inout, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4]
        tslice     t20, a, 0, 0, 2   #-
#+      tmv        t20, a
        vfill      t20, 1.0
        drain
        dma.store  tmp, a
        dma.load   b, tmp            #? #-
#+      dma.load   b, tmp
        drain
        vadds      b, b, 1.0         #! #-
#+      vadds      b, b, 1.0
        drain
        dma.store  y, b
        halt

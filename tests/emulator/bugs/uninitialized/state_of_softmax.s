# bug: the sum l of the online softmax is not set to 0 before its first step
# expect: uninitialized
# operand: l
# says: everything of `l`
# args: x f32 4 8; y f32 4 4
        .kernel k
        .param  x, in, f32, [4, 8]
        .param  y, out, f32, [4, 4]
        .tile   s, sram, f32, [4, 8]
        .tile   m, sram, f32, [4, 1]
        .tile   l, sram, f32, [4, 1]
        .tile   o, sram, f32, [4, 4]
        lf         x20, 1.0
        dma.load   s, x
        vfill      m, -inf
#+      vfill      l, 0.0
        vfill      o, 0.0
        drain
        vosm       s, s, m, l, o, x20, x0, x0  #! #-
#+      vosm       s, s, m, l, o, x20, x0, x0
        drain
        dma.store  y, o
        halt

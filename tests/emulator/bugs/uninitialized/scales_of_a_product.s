# bug: the block scales of the right factor are not loaded
# expect: uninitialized
# operand: b_scale
# says: `bs`
# args: x fp8e4m3 4 32 =1; xs e8m0 4 1 =1; w fp8e4m3 32 4 =1; y f32 4 4
        .kernel k
        .param  x, in, fp8e4m3, [4, 32]
        .param  xs, in, e8m0, [4, 1]
        .param  w, in, fp8e4m3, [32, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, fp8e4m3, [4, 32]
        .tile   as, sram, e8m0, [4, 1]
        .tile   b, sram, fp8e4m3, [32, 4]
        .tile   bs, sram, e8m0, [1, 4]
        .tile   c, acc, f32, [4, 4]
        .tile   d, sram, f32, [4, 4]
        dma.load   a, x
        dma.load   as, xs
        dma.load   b, w
#+      dma.fill   bs, 1.0
        drain
        mm.mx8     c, a, as, b, bs    #! #-
#+      mm.mx8     c, a, as, b, bs
        mout       d, c
        drain
        dma.store  y, d
        halt

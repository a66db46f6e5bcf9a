# bug: the fused RMSNorm with an epsilon of 0 meets a row of zeros
# expect: nan
# operand: dst
# says: are NaN, and no operand was NaN
# args: x f32 4 8 =0; w f32 8 =1
        .kernel k
        .param  x, in, f32, [4, 8]
        .param  w, in, f32, [8]
        .param  y, out, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .tile   g, sram, f32, [8]
        dma.load   a, x
        dma.load   g, w
        drain
        vrms       a, a, g, 0.0     #! #-
#+      vrms       a, a, g, 1e-5
        drain
        dma.store  y, a
        halt

# bug: the scales of the rows are those of other rows: one is too small
# expect: overflow
# operand: dst
# says: [1, 0] of `q`; 896 does not fit fp8e4m3; and 3 more
# args: x f32 2 4 =448
        .kernel k
        .param  x, in, f32, [2, 4]
        .param  y, out, fp8e4m3, [2, 4]
        .tile   a, sram, f32, [2, 4]
        .tile   s, sram, f32, [2, 1]
        .tile   q, sram, fp8e4m3, [2, 4]
        dma.load   a, x
        vfill      s, 1.0
        tslice     t20, s, 0, 1, 1
        vfill      t20, 0.5     #-
        drain
        vquant     q, a, s      #! #-
#+      vquant     q, a, s
        drain
        dma.store  y, q
        halt

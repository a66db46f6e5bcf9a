# bug: a single element of a strided view divides by zero
# expect: nan
# operand: dst
# says: [3, 0] of `a`; is NaN
# args: x f32 4 4 =2; z f32 1 1 =0
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  z, in, f32, [1, 1]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   d, sram, f32, [4, 1]
        dma.load   a, x
        vfill      d, 1.0
        drain
        tslice     t20, a, 0, 3, 1
        tslice     t20, t20, 1, 2, 1
        tslice     t21, d, 0, 3, 1
        dma.load   t20, z
        dma.load   t21, z          #-
        drain
        tslice     t22, a, 1, 2, 1
        vdiv       t22, t22, d     #! #-
#+      vdiv       t22, t22, d
        drain
        dma.store  y, a
        halt

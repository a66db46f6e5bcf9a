# bug: the reciprocal root of a mean of squares that is 0, without an epsilon
# expect: nan
# operand: dst
# says: are inf
# args: x f32 4 8 =0
        .kernel k
        .param  x, in, f32, [4, 8]
        .param  y, out, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .tile   q, sram, f32, [4, 8]
        .tile   s, sram, f32, [4, 1]
        dma.load   a, x
        drain
        vmul       q, a, a
        vsum.row   s, q
#+      vadds      s, s, 1e-5
        vrsqrt     s, s       #! #-
#+      vrsqrt     s, s
        vmul       a, a, s
        drain
        dma.store  y, a
        halt

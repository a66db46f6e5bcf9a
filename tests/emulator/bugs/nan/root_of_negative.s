# bug: a variance as the mean of squares minus the square of the mean is negative by rounding
# expect: nan
# operand: dst
# says: is NaN, and no operand was NaN there
# args: x f32 1 1 =-0.25
        .kernel k
        .param  x, in, f32, [1, 1]
        .param  y, out, f32, [1, 1]
        .tile   v, sram, f32, [1, 1]
        dma.load   v, x
        drain
#+      vmaxs      v, v, 0.0
        vsqrt      v, v       #! #-
#+      vsqrt      v, v
        drain
        dma.store  y, v
        halt

# bug: activations up to 1000 are cast to fp8e4m3 without a scale
# expect: overflow
# operand: dst
# says: [0, 0] of `b`; 1000 does not fit fp8e4m3 and becomes 448; fp8e4m3 holds numbers up to 448; scale before the conversion
# args: x f32 4 4 =1000
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, fp8e4m3, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, fp8e4m3, [4, 4]
        dma.load   a, x
        drain
#+      vmuls      a, a, 0.25
        vcast      b, a         #! #-
#+      vcast      b, a
        drain
        dma.store  y, b
        halt

# bug: the store converts float32 to f16, and a sum of 1e6 becomes infinite there
# expect: overflow
# operand: dst
# says: of `y`; 1e+06 does not fit f16 and becomes inf
# args: x f32 4 4 =1e6
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f16, [4, 4]
        .tile   a, sram, f32, [4, 4]
        dma.load   a, x
#+      drain
#+      vmuls      a, a, 0.01
#+      drain
        dma.store  y, a         #! #-
#+      dma.store  y, a
        halt

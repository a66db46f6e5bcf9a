# bug: negative numbers in a cast to u8
# expect: overflow
# operand: dst
# says: -3 does not fit u8 and becomes 0
# args: x f32 4 4 =-3
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, u8, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, u8, [4, 4]
        dma.load   a, x
        drain
#+      vabs       a, a
        vcast      b, a         #! #-
#+      vcast      b, a
        drain
        dma.store  y, b
        halt

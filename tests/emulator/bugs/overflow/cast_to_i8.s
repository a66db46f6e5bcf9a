# bug: values of 200 become 127 in i8
# expect: overflow
# operand: dst
# says: 200 does not fit i8 and becomes 127; i8 holds -128 to 127
# args: x f32 4 4 =200
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, i8, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, i8, [4, 4]
        dma.load   a, x
        drain
#+      vmuls      a, a, 0.5
        vcast      b, a         #! #-
#+      vcast      b, a
        drain
        dma.store  y, b
        halt

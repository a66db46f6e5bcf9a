# bug: a cast of integers that is told not to saturate wraps
# expect: overflow
# operand: dst
# says: 300 does not fit u8 and becomes 44
# args: x i32 4 =300
        .kernel k
        .param  x, in, i32, [4]
        .param  y, out, u8, [4]
        .tile   a, sram, i32, [4]
        .tile   b, sram, u8, [4]
        dma.load   a, x
        drain
#+      vmins      a, a, 255
        vcast      b, a, sat=0  #! #-
#+      vcast      b, a, sat=0
        drain
        dma.store  y, b
        halt

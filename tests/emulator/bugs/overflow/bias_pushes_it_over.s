# bug: the product fits i8, and with the bias it does not
# expect: overflow
# operand: dst
# says: 164 does not fit i8
# args: x i8 4 4 =4; y i8 4 4
        .kernel k
        .param  x, in, i8, [4, 4]
        .param  y, out, i8, [4, 4]
        .tile   a, sram, i8, [4, 4]
        .tile   b, sram, f32, [1, 4]
        .tile   c, acc, i32, [4, 4]
        .tile   d, sram, i8, [4, 4]
        dma.load   a, x
        vfill      b, 100.0       #-
#+      vfill      b, 10.0
        drain
        mm.i8      c, a, a
        mout.bias  d, c, b        #! #-
#+      mout.bias  d, c, b
        drain
        dma.store  y, d
        halt

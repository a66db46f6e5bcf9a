# bug: the result of an integer product is divided by its scale instead of multiplied
# expect: overflow
# operand: dst
# says: does not fit fp8e4m3
# args: x i8 8 8 =4; y fp8e4m3 8 8
        .kernel k
        .param  x, in, i8, [8, 8]
        .param  y, out, fp8e4m3, [8, 8]
        .tile   a, sram, i8, [8, 8]
        .tile   c, acc, i32, [8, 8]
        .tile   d, sram, fp8e4m3, [8, 8]
        dma.load   a, x
        drain
        mm.i8      c, a, a
        mout       d, c, scale=64.0       #! #-
#+      mout       d, c, scale=0.015625
        drain
        dma.store  y, d
        halt

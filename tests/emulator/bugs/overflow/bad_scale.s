# bug: the scale of the quantization is ten times too small
# expect: overflow
# operand: dst
# says: 1000 does not fit i8
# args: x f32 4 4 =10
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, i8, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   s, sram, f32, [1, 1]
        .tile   q, sram, i8, [4, 4]
        dma.load   a, x
        vfill      s, 0.01      #-
#+      vfill      s, 0.1
        drain
        vquant     q, a, s      #! #-
#+      vquant     q, a, s
        drain
        dma.store  y, q
        halt

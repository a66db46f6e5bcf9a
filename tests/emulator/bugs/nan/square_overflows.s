# bug: squares of large activations exceed float32
# expect: nan
# operand: dst
# says: are inf, and no operand was infinite there
# args: x f32 4 4 =3e19
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        dma.load   a, x
        drain
#+      vmuls      a, a, 1e-10
        vmul       a, a, a      #! #-
#+      vmul       a, a, a
        drain
        dma.store  y, a
        halt

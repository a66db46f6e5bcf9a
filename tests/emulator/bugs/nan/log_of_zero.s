# bug: a logarithm of probabilities that may be 0
# expect: nan
# operand: dst
# says: are -inf, and no operand was infinite there
# args: x f32 2 2 =0
        .kernel k
        .param  x, in, f32, [2, 2]
        .param  y, out, f32, [2, 2]
        .tile   a, sram, f32, [2, 2]
        dma.load   a, x
        drain
#+      vmaxs      a, a, 1e-20
        vlog       a, a       #! #-
#+      vlog       a, a
        drain
        dma.store  y, a
        halt

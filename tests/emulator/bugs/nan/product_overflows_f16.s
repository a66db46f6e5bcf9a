# bug: products are summed in float32 and taken to f16, which ends at 65504
# expect: nan
# operand: dst
# says: are inf, and no operand was infinite; there: src 160000
# args: x f16 4 64 =50
        .kernel k
        .param  x, in, f16, [4, 64]
        .param  y, out, f16, [4, 4]
        .tile   a, sram, f16, [4, 64]
        .tile   c, acc, f32, [4, 4]
        .tile   d, sram, f16, [4, 4]
        dma.load   a, x
        drain
        tswap      t20, a, 0, 1
        mm         c, a, t20
        drain
        vabs       d, c               #! #-
#+      vmuls      d, c, 0.0009765625
        drain
        dma.store  y, d
        halt

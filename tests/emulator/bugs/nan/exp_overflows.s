# bug: the exponential without the maximum subtracted first
# expect: nan
# operand: dst
# says: [0, 0] and 15 more of `a`; are inf; subtract the largest before an exponential
# args: x f32 4 4 =100
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   m, sram, f32, [4, 1]
        dma.load   a, x
        drain
#+      vmax.row   m, a
#+      vsub       a, a, m
        vexp       a, a       #! #-
#+      vexp       a, a
        drain
        dma.store  y, a
        halt

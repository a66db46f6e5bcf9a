# bug: a row that is masked throughout: the maximum is -inf, and -inf - -inf is no number
# expect: nan
# operand: dst
# says: [0, 0] and 3 more; are NaN; there: a -inf, b -inf
# args: x f32 2 4
        .kernel k
        .param  x, in, f32, [2, 4]
        .param  y, out, f32, [2, 4]
        .tile   a, sram, f32, [2, 4]
        .tile   m, sram, f32, [2, 1]
        dma.load   a, x
        drain
        tslice     t20, a, 0, 0, 1
        vfill      t20, -inf   #-
#+      vfill      t20, -1e30
        vmax.row   m, a
        vsub       a, a, m     #! #-
#+      vsub       a, a, m
        drain
        dma.store  y, a
        halt

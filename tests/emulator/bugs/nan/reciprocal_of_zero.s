# bug: 1 / x where the last element of x is 0
# expect: nan
# operand: dst
# says: [0] of `a`; is inf; there: value 1
# args: x i32 4 count
        .kernel k
        .param  x, in, i32, [4]
        .param  y, out, f32, [4]
        .tile   i, sram, i32, [4]
        .tile   a, sram, f32, [4]
        dma.load   i, x
        drain
        vi2f       a, i
#+      vadds      a, a, 1.0
        vrdivs     a, a, 1.0    #! #-
#+      vrdivs     a, a, 1.0
        drain
        dma.store  y, a
        halt

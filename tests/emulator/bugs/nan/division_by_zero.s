# bug: rows of zeros are divided by their own sum
# expect: nan
# operand: dst
# says: are NaN; there: b 0; add a small number
# args: x f32 2 4 =0
        .kernel k
        .param  x, in, f32, [2, 4]
        .param  y, out, f32, [2, 4]
        .tile   a, sram, f32, [2, 4]
        .tile   s, sram, f32, [2, 1]
        dma.load   a, x
        drain
        vsum.row   s, a
#+      vadds      s, s, 1e-6
        vdiv       a, a, s     #! #-
#+      vdiv       a, a, s
        drain
        dma.store  y, a
        halt

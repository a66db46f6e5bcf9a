# bug: the number of rows is read from the tensor, and the tile has room for fewer
# expect: out-of-bounds
# operand: dst
# says: x20 holds 6; has room for 4
# args: x f32 6 4
        .kernel k
        .param  x, in, f32, [R, 4]
        .tile   a, sram, f32, [x20<=4, 4]
        tget       x20, x, 0
#+      min        x20, x20, 4
#+      tslice     x, x, 0, 0, x20
        dma.load   a, x           #! #-
#+      dma.load   a, x
        halt

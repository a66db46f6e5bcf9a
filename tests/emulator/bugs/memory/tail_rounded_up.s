# bug: the last block is taken as a whole one
# expect: out-of-bounds
# operand: dst
# says: past the end of y
# args: x f32 10 4; y f32 10 4
        .kernel k
        .param  x, in, f32, [R, 4]
        .param  y, out, f32, [R, 4]
        .dim    R
        .tile   a, sram, f32, [4, 4]
        .reg    row
        li         row, 0
        taddr      x22, y
        vfill      a, 1.0
        drain
        loop       3, 9f
        mul        x20, row, 16
        add        x20, x20, x22
        sub        x21, R, row
        min        x21, x21, 4
        tset       t20, y, 0, 4     #-
#+      tset       t20, y, 0, x21
        tbase      t20, t20, x20
        tset       t21, a, 0, 4     #-
#+      tset       t21, a, 0, x21
        dma.store  t20, t21         #! #-
#+      dma.store  t20, t21
        add        row, row, 4
9:      halt

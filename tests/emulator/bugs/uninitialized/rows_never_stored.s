# bug: 10 rows in blocks of 4, and the loop counts whole blocks only: two rows of the output are left
# expect: uninitialized
# operand: -
# says: the kernel ends, and element [8, 0] and 7 more of its output `y` were never written
# args: x f32 10 4
        .kernel k
        .param  x, in, f32, [R, 4]
        .param  y, out, f32, [R, 4]
        .dim    R
        .tile   a, sram, f32, [4, 4]
        .reg    row
        .reg    rows
        li         row, 0
        li         x5, 4
        div        x6, R, x5       #-
#+      add        x6, R, 3
#+      div        x6, x6, x5
        loop       x6, 9f
        sub        rows, R, row
        min        rows, rows, 4
        tset       t22, a, 0, rows
        tslice     t20, x, 0, row, rows
        tslice     t21, y, 0, row, rows
        dma.load   t22, t20
        dma.store  t21, t22        #? #-
#+      dma.store  t21, t22
        add        row, row, 4
9:
        halt                       #! #-
#+      halt

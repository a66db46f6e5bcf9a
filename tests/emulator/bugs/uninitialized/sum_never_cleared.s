# bug: a running sum starts from whatever SRAM held
# expect: uninitialized
# operand: a
# says: everything of `sum`; was never written since the launch
# args: x f32 16 8
        .kernel k
        .param  x, in, f32, [16, 8]
        .param  y, out, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .tile   sum, sram, f32, [4, 8]
        .reg    row
#+      vfill      sum, 0.0
        li         row, 0
        loop       4, 9f
        tslice     t20, x, 0, row, 4
        dma.load   a, t20
        drain
        vadd       sum, sum, a     #! #-
#+      vadd       sum, sum, a
        drain
        add        row, row, 4
9:
        dma.store  y, sum
        halt

# bug: the wait asks for 1 in every turn of the loop: true for ever after the first
# expect: race
# operand: a
# says: waits for it, but for less; wait for full >= 2
# args: x f32 16 4
        .kernel k
        .param  x, in, f32, [16, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   s, sram, f32, [4, 4]
        .sem    full
        .sem    used
        .reg    n
        .reg    row
        vfill      s, 0.0
        li         n, 0
        li         row, 0
        loop       4, 9f
        tslice     t20, x, 0, row, 4
        dma.load   a, t20    wait used>=n    signal full    #?
        add        n, n, 1
        add        row, row, 4
        vmax       s, a, s   wait full>=1    signal used    #! #-
#+      vmax       s, a, s   wait full>=n    signal used
9:
        dma.store  y, s      wait used>=4
        halt

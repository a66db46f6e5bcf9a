# bug: two buffers, and the load waits for the turn before the one that freed its buffer
# expect: race
# operand: dst
# says: waits for it, but for less; wait for free >= 1
# args: x f32 48 8
        .kernel k
        .param  x, in, f32, [48, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8], at=0
        .tile   b, sram, f32, [8, 8], at=256
        .tile   sum, sram, f32, [8, 8], at=1024
        .sem    full
        .sem    free
        .reg    n
        .reg    row
        .reg    this, t
        vfill      sum, 0.0
        li         n, 0
        li         row, 0
        loop       6, 9f
        and        x5, n, 1
        mul        x5, x5, 256
        tbase      this, a, x5
        tslice     t30, x, 0, row, 8
        add        x6, n, -2    #-
#+      add        x6, n, -1
        dma.load   this, t30      wait free>=x6   signal full  #! #-
#+      dma.load   this, t30      wait free>=x6   signal full
        add        n, n, 1
        add        row, row, 8
        vadd       sum, sum, this wait full>=n    signal free  #?
9:
        dma.store  y, sum         wait free>=6
        halt

# bug: in a loop with one buffer the next load overwrites what is still being read
# expect: race
# operand: dst
# says: DMA0 writes `a`; while VPU still reads it; the vadd signals `free`
# args: x f32 32 8
        .kernel k
        .param  x, in, f32, [32, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8]
        .tile   sum, sram, f32, [8, 8]
        .sem    full
        .sem    free
        .reg    n
        .reg    row
        vfill      sum, 0.0
        li         n, 0
        li         row, 0
        loop       4, 9f
        tslice     t30, x, 0, row, 8
        dma.load   a, t30                     signal full   #! #-
#+      dma.load   a, t30      wait free>=n   signal full
        add        n, n, 1
        add        row, row, 8
        vadd       sum, sum, a wait full>=n   signal free   #?
9:
        dma.store  y, sum      wait free>=4
        halt

# bug: blocks of columns, written side by side by two engines, are one column too wide
# expect: race
# says: VPU writes `a`; while DMA0 still writes it
# args: x f32 8 5
        .kernel k
        .param  x, in, f32, [8, 5]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8]
        .sem    full
        .sem    made
        tslice     t20, a, 1, 0, 5
        tslice     t21, a, 1, 4, 4   #-
#+      tslice     t21, a, 1, 5, 3
        dma.load   t20, x        signal full   #?
        vfill      t21, 0.0      signal made   #! #-
#+      vfill      t21, 0.0      signal made
        dma.sync                 wait made>=1
        dma.store  y, a
        halt

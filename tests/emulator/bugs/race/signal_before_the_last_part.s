# bug: a tile comes in two parts on two queues, and the wait is met by the first of them
# expect: race
# operand: src
# says: VPU reads `a`; while DMA0 still writes it; but others do too
# args: x f32 8 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8]
        .sem    full
        .sem    made
        tslice     t20, a, 0, 0, 4
        tslice     t21, a, 0, 4, 4
        tslice     t22, x, 0, 0, 4
        tslice     t23, x, 0, 4, 4
        dma.load   t20, t22                   signal full   #?
        dma.load   t21, t23, q=1              signal full
        vabs       a, a        wait full>=1   signal made   #! #-
#+      vabs       a, a        wait full>=2   signal made
        dma.store  y, a        wait made>=1
        halt

# bug: the next weights are loaded over those that the MXU still multiplies by
# expect: race
# operand: dst
# says: DMA0 writes `w`; while MXU still reads it
# args: x f32 8 8; ws f32 16 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .param  ws, in, f32, [16, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8]
        .tile   w, sram, f32, [8, 8]
        .tile   c, acc, f32, [8, 8]
        .tile   d, sram, f32, [8, 8]
        .sem    full
        .sem    used
        .sem    out
        dma.load   a, x
        tslice     t20, ws, 0, 0, 8
        tslice     t21, ws, 0, 8, 8
        dma.load   w, t20                    signal full
        mm         c, a, w    wait full>=1   signal used   #?
        dma.load   w, t21                    signal full   #! #-
#+      dma.load   w, t21     wait used>=1   signal full
        mma        c, a, w    wait full>=2   signal used
        mout       d, c                      signal out
        dma.store  y, d       wait out>=1
        halt

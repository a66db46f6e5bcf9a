# bug: the VPU fills a tile again while the store of it may still be under way
# expect: race
# args: y f32 4 4; z f32 4 4
# operand: dst
# says: VPU writes `a`; while DMA0 still reads it; the dma.store signals nothing
        .kernel k
        .param  y, out, f32, [4, 4]
        .param  z, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .sem    made
        .sem    stored
        vfill      a, 1.0                  signal made
        dma.store  y, a   wait made>=1                     #? #-
#+      dma.store  y, a   wait made>=1     signal stored
        vfill      a, 2.0                  signal made     #! #-
#+      vfill      a, 2.0  wait stored>=1  signal made
        dma.store  z, a   wait made>=2
        halt

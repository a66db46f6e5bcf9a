# bug: the sequencer reads with ld what a store brings to HBM
# expect: race
# says: the sequencer reads `n`; while DMA0 still writes it
# args: n i32 2 count
        .kernel k
        .param  n, inout, i32, [2]
        .tile   a, sram, i32, [2]
        .sem    made
        .sem    stored
        vfill      a, 7.0           signal made
        dma.store  n, a  wait made>=1  signal stored   #?
        taddr      x20, n
        ld         x21, x20, 0                         #! #-
#+      sync       wait stored>=1
#+      ld         x21, x20, 0
        halt

# bug: the signal is in the same queue, behind the wait for it
# expect: deadlock
# says: which waits in the queue of DMA0; a circle: DMA0 waits for DMA0
# args: x f32 4
        .kernel k
        .param  x, in, f32, [4]
        .param  y, out, f32, [4]
        .tile   a, sram, f32, [4]
        .sem    full
        dma.store  y, a    wait full>=1   #-
        dma.load   a, x    signal full
#+      dma.store  y, a    wait full>=1
        halt               #! #-
#+      halt

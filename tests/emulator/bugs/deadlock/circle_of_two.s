# bug: the load waits until the tile is free, and who frees it waits for the load
# expect: deadlock
# says: a circle: DMA0 waits for VPU waits for DMA0; one of them must go first
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4]
        .sem    full
        .sem    free
        dma.load   a, x   wait free>=1   signal full   #-
#+      dma.load   a, x   wait free>=0   signal full
        vexp       b, a   wait full>=1   signal free
        halt                                           #! #-
#+      halt

# bug: queue 1 waits for the load, but the store that needs it is on queue 2
# expect: race
# operand: src
# says: DMA2 reads `a`; nothing on the DMA2 queue waits for it
# args: x f32 4 8
        .kernel k
        .param  x, in, f32, [4, 8]
        .param  y, out, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .sem    full
        dma.load   a, x               signal full  #?
        dma.sync   q=1      wait full>=1   #-
#+      dma.sync   q=2      wait full>=1
        dma.store  y, a, q=2               #! #-
#+      dma.store  y, a, q=2
        halt

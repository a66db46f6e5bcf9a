# bug: the sequencer changes a number in HBM after it has issued the load of it
# expect: race
# says: the sequencer writes `tmp`; while DMA0 still reads it
# args: tmp i32 4 count
        .kernel k
        .param  tmp, inout, i32, [4]
        .param  y, out, i32, [4]
        .tile   a, sram, i32, [4]
        .sem    full
        taddr      x20, tmp
        dma.load   a, tmp         signal full   #?
        sd         x0, x20, 0                   #! #-
#+      sync                      wait full>=1
#+      sd         x0, x20, 0
        dma.store  y, a           wait full>=1
        halt

# bug: three queues, each waits for the next
# expect: deadlock
# says: a circle: DMA0 waits for VPU waits for MXU waits for DMA0
        .kernel k
        .sem    a
        .sem    b
        .sem    c
#+      sync                  signal b
        dma.sync  wait b>=1   signal a
        mxu.sync  wait a>=1   signal c
        vpu.sync  wait c>=1   signal b
        halt      #! #-
#+      halt

# bug: the load waits for its turn in the queue; the reader is issued later and executes first
# expect: race
# says: `a`; nothing on the VPU queue waits for it
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4]
        .sem    go
        .sem    full
        .sem    made
        vfill      a, 0.0
        drain
        dma.load   a, x       wait go>=1   signal full  #! #-
#+      dma.load   a, x       wait go>=1   signal full
        vmov       b, a                    signal made  #? #-
        sync                               signal go
#+      vmov       b, a       wait full>=1 signal made
        dma.store  y, b       wait made>=1
        halt

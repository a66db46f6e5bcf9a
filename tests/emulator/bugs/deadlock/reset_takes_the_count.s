# bug: the semaphore is reset while a wait further on still counts from before
# expect: deadlock
# says: for full >= 2, which is 1
# args: x f32 4
        .kernel k
        .param  x, in, f32, [4]
        .tile   a, sram, f32, [4]
        .sem    full
        dma.load   a, x     signal full
        drain
        semreset   full
        dma.load   a, x     signal full
        vexp       a, a     wait full>=2   #-
#+      vexp       a, a     wait full>=1
        drain               #! #-
        halt

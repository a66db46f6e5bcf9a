# bug: the semaphore is reset while the store may still be under way
# expect: semaphore
# says: is reset while engines may be at work; drain first
# args: x f32 4
        .kernel k
        .param  x, in, f32, [4]
        .tile   a, sram, f32, [4]
        .sem    full
        dma.load   a, x      signal full
        sync       wait full>=1
#+      drain
        semreset   full      #! #-
#+      semreset   full
        halt

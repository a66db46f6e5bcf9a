# bug: after the reset the semaphore counts from zero, and the second round waits for nothing new
# expect: race
# operand: src
# says: VPU reads `a`; while DMA0 still writes it
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4]
        .sem    full
        .sem    made
        dma.load   a, x                    signal full
        vneg       b, a     wait full>=1   signal made
        drain
        semreset   full
        semreset   made
        dma.load   a, x                    signal full  #?
        vexp       b, a     wait full>=0   signal made  #! #-
#+      vexp       b, a     wait full>=1   signal made
        dma.store  y, b     wait made>=1
        halt

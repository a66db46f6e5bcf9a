# bug: two loads with a semaphore each, and the two waits are swapped
# expect: race
# operand: b
# says: MXU; the dma.load signals `b_full`
# args: x f32 8 8; w f32 8 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .param  w, in, f32, [8, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8]
        .tile   b, sram, f32, [8, 8]
        .tile   c, acc, f32, [8, 8]
        .tile   d, sram, f32, [8, 8]
        .sem    a_full
        .sem    b_full
        .sem    made
        .sem    out
        dma.load   a, x               signal a_full
        dma.load   b, w, q=1          signal b_full   #?
        mxu.sync           wait a_full>=1
        mm         c, a, b            signal made     #! #-
#+      mm         c, a, b  wait b_full>=1  signal made
        vmov       d, c    wait made>=1  signal out
        dma.store  y, d    wait out>=1
        halt

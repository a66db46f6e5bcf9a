# bug: the load was to signal `full`, and does not
# expect: deadlock
# says: for full >= 1, which is 0; full >= 1 is never reached: no instruction that is left signals it; an instruction must signal full
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .sem    full
        dma.load   a, x                       #-
#+      dma.load   a, x          signal full
        vexp       a, a          wait full>=1
        drain                                 #! #-
        halt

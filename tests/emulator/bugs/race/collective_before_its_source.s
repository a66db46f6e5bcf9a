# bug: the sum over chips begins before the partial sum is there
# expect: race
# operand: src
# says: CCE reads `a`; while VPU still writes it; nothing on the CCE queue waits for it
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4]
        .sem    full
        .sem    made
        .sem    summed
        dma.load       a, x                    signal full
        vmuls          a, a, 2.0  wait full>=1 signal made    #?
        cce.allreduce  b, a                    signal summed  #! #-
#+      cce.allreduce  b, a       wait made>=1 signal summed
        dma.store      y, b       wait summed>=1
        halt

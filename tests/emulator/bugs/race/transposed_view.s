# bug: a transposed view of the same bytes is read on another engine
# expect: race
# operand: b
# says: MXU reads `a`; while VPU still writes it
# args: x f32 8 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8]
        .tile   q, sram, f32, [8, 8]
        .tile   c, acc, f32, [8, 8]
        .sem    full
        .sem    made
        .sem    out
        dma.load   q, x
        dma.load   a, x                       signal full
        vmuls      a, a, 0.125  wait full>=1  signal made  #?
        tswap      t20, a, 0, 1
        mm         c, q, t20    wait full>=1  signal out   #! #-
#+      mm         c, q, t20    wait made>=1  signal out
        mout       q, c                       signal out
        dma.store  y, q         wait out>=2
        halt

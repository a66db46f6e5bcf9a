# bug: two loads of one queue, and the wait counts only the first
# expect: race
# operand: a
# says: waits for it, but for less; wait for full >= 2
# args: x f32 8 4
        .kernel k
        .param  x, in, f32, [8, 4]
        .param  y, out, f32, [8, 4]
        .tile   a, sram, f32, [8, 4]
        .sem    full
        .sem    made
        tslice     t20, a, 0, 0, 4
        tslice     t21, a, 0, 4, 4
        tslice     t22, x, 0, 0, 4
        tslice     t23, x, 0, 4, 4
        dma.load   t20, t22                    signal full
        dma.load   t21, t23                    signal full   #?
        vmul       a, a, a     wait full>=1    signal made   #! #-
#+      vmul       a, a, a     wait full>=2    signal made
        dma.store  y, a        wait made>=1
        halt

# bug: the next product starts over in an accumulator that is still being read
# expect: race
# operand: acc
# says: MXU writes `c`; while VPU still reads it
# args: x f32 8 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .param  y, out, f32, [16, 8]
        .tile   a, sram, f32, [8, 8]
        .tile   c, acc, f32, [8, 8]
        .tile   d, sram, f32, [16, 8]
        .sem    full
        .sem    made
        .sem    taken
        dma.load   a, x                    signal full
        mm         c, a, a  wait full>=1   signal made
        tslice     t30, d, 0, 0, 8
        tslice     t31, d, 0, 8, 8
        vmov       t30, c   wait made>=1   signal taken  #?
        mm         c, a, a                 signal made   #! #-
#+      mm         c, a, a  wait taken>=1  signal made
        vmov       t31, c   wait made>=2   signal taken
        dma.store  y, d     wait taken>=2
        halt

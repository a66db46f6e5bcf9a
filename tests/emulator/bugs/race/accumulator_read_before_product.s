# bug: the VPU takes the accumulator before the product has been added
# expect: race
# operand: src
# says: VPU reads `c` (acc 0x0..0x40) while MXU still writes it
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   c, acc, f32, [4, 4]
        .tile   d, sram, f32, [4, 4]
        .sem    full
        .sem    made
        .sem    out
        dma.load   a, x                    signal full
        mm         c, a, a  wait full>=1   signal made   #?
        vmov       d, c     wait full>=1   signal out    #! #-
#+      vmov       d, c     wait made>=1   signal out
        dma.store  y, d     wait out>=1
        halt

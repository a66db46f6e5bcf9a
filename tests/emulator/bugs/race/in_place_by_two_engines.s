# bug: the MXU writes the scaled result out to a tile that the VPU is still reading
# expect: race
# operand: dst
# says: MXU writes `d`; while VPU still reads it
# args: x f32 8 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8]
        .tile   d, sram, f32, [8, 8]
        .tile   e, sram, f32, [8, 8]
        .tile   c, acc, f32, [8, 8]
        .sem    full
        .sem    made
        .sem    used
        dma.load   a, x                    signal full
        mm         c, a, a  wait full>=1
        mout       d, c                    signal made
        vneg       e, d     wait made>=1   signal used  #?
        mm         c, a, a
        mout       d, c                    signal made  #! #-
#+      mout       d, c     wait used>=1   signal made
        vadd       e, e, d  wait made>=2   signal used
        dma.store  y, e     wait used>=2
        halt

# bug: the first block of a product is added to an accumulator that nothing has cleared
# expect: uninitialized
# operand: acc
# says: everything of `c` (acc 0x0..0x100) was never written since the launch; no instruction has written any of it; begin with an instruction that does not read
# args: x f32 8 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8]
        .tile   c, acc, f32, [8, 8]
        .sem    full
        .sem    made
        dma.load   a, x                   signal full
        mma        c, a, a  wait full>=1               #! #-
#+      mm         c, a, a  wait full>=1
        mout       a, c                   signal made
        dma.store  y, a     wait made>=1
        halt

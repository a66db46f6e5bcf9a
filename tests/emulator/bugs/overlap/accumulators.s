# bug: two accumulators share their last and first rows
# expect: overlap
# says: `c`; overwritten through `d`
# args: x f32 8 8; y f32 8 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8]
        .tile   r, sram, f32, [8, 8]
        .tile   c, acc, f32, [8, 8], at=0
        .tile   d, acc, f32, [8, 8], at=192     #-
#+      .tile   d, acc, f32, [8, 8], at=256
        dma.load   a, x
        drain
        mm         c, a, a    #? #-
        mm         d, a, a    #? #-
        mout       r, c       #! #-
#+      mm         c, a, a
#+      mm         d, a, a
#+      mout       r, c
        drain
        dma.store  y, r
        halt

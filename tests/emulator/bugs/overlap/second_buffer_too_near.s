# bug: the second of two buffers begins before the first one ends
# expect: overlap
# says: `even`; overwritten through `odd`
# args: x f32 16 8; y f32 8 8
        .kernel k
        .param  x, in, f32, [16, 8]
        .param  y, out, f32, [8, 8]
        .tile   even, sram, f32, [8, 8], at=0
        .tile   odd, sram, f32, [8, 8], at=224   #-
#+      .tile   odd, sram, f32, [8, 8], at=256
        tslice     t20, x, 0, 0, 8
        tslice     t21, x, 0, 8, 8
        dma.load   even, t20          #? #-
        dma.load   odd, t21           #? #-
#+      dma.load   even, t20
#+      dma.load   odd, t21
        drain
        vabs       even, even         #! #-
#+      vabs       even, even
        drain
        dma.store  y, even
        halt

# bug: b was placed where a, which has grown since, still lies
# expect: overlap
# says: `a`; is read, and a part of it has been overwritten through `b`
# args: x f32 8 8; y f32 8 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8], at=0
        .tile   b, sram, f32, [4, 16], at=128   #-
#+      .tile   b, sram, f32, [4, 16], at=256
        dma.load   a, x                #? #-
#+      dma.load   a, x
        drain
        vfill      b, 0.0              #? #-
#+      vfill      b, 0.0
        vadds      a, a, 1.0           #! #-
#+      vadds      a, a, 1.0
        drain
        dma.store  y, a
        halt

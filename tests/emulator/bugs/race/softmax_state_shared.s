# bug: the state of the online softmax goes out to HBM while the next step updates it
# expect: race
# operand: m
# says: VPU; `m`; while DMA0 still reads it
# args: x f32 4 8; y f32 4 1
        .kernel k
        .param  x, in, f32, [4, 8]
        .param  y, out, f32, [4, 1]
        .tile   s, sram, f32, [4, 8]
        .tile   p, sram, f32, [4, 8]
        .tile   m, sram, f32, [4, 1]
        .tile   l, sram, f32, [4, 1]
        .tile   o, sram, f32, [4, 4]
        .sem    full
        .sem    step
        .sem    saved
        lf         x20, 1.0
        dma.load   s, x                    signal full
        vfill      m, -inf
        vfill      l, 0.0
        vfill      o, 0.0
        vosm       p, s, m, l, o, x20, x0, x0  wait full>=1  signal step
        dma.store  y, m   wait step>=1     signal saved                      #?
        vosm       p, s, m, l, o, x20, x0, x0                                #! #-
#+      vosm       p, s, m, l, o, x20, x0, x0  wait saved>=1
        halt

# bug: a tile is divided by a scalar that the kernel was given as 0.0
# expect: nan
# operand: dst
# says: value 0
# args: x f32 4 4; s 0.0
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .param  s, f32
        .tile   a, sram, f32, [4, 4]
        dma.load   a, x
        drain
#+      lf         s, 1.0
        vdivs      a, a, s      #! #-
#+      vdivs      a, a, s
        drain
        dma.store  y, a
        halt

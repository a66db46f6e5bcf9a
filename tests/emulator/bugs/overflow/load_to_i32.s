# bug: a load converts floats of 1e10 to i32
# expect: overflow
# operand: dst
# says: 1e+10 does not fit i32
# args: x f32 4 =1e10; y i32 4
        .kernel k
        .param  x, in, f32, [4]
        .param  y, out, i32, [4]
        .tile   a, sram, i32, [4]
        .tile   f, sram, f32, [4]
        dma.load   a, x         #! #-
#+      dma.load   f, x
#+      drain
#+      vmuls      f, f, 1e-8
#+      vf2i       a, f
#+      drain
        dma.store  y, a
        halt

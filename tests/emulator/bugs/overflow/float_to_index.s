# bug: an index is computed in floats and is too large when it becomes an integer
# expect: overflow
# operand: dst
# says: 3e+09 does not fit i32
# args: x f32 4 =3e9
        .kernel k
        .param  x, in, f32, [4]
        .param  y, out, i32, [4]
        .tile   f, sram, f32, [4]
        .tile   i, sram, i32, [4]
        dma.load   f, x
        drain
#+      vmins      f, f, 1e9
        vf2i       i, f         #! #-
#+      vf2i       i, f
        drain
        dma.store  y, i
        halt

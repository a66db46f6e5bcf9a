# bug: the scalar is read from the wrong tile, one that nothing writes
# expect: uninitialized
# operand: src
# says: the element of `n` (sram
# args: x f32 1 8
        .kernel k
        .param  x, in, f32, [1, 8]
        .tile   a, sram, f32, [1, 8]
        .tile   m, sram, f32, [1, 1]
        .tile   n, sram, f32, [1, 1]
        dma.load   a, x
        drain
        vmax.row   m, a
        drain
        sld        x20, n     #! #-
#+      sld        x20, m
        halt

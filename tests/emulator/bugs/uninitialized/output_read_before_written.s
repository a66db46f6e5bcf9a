# bug: the program adds to an output tensor that nothing has set
# expect: uninitialized
# operand: a
# says: everything of `a`; the copy has brought
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4]
        dma.load   b, x
#+      dma.fill   y, 0.0
        dma.load   a, y        #? #-
#+      dma.load   a, y
        drain
        vadd       a, a, b     #! #-
#+      vadd       a, a, b
        drain
        dma.store  y, a
        halt

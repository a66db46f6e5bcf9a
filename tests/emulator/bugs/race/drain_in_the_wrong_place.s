# bug: the drain stands before the load that it should cover
# expect: race
# operand: a
# says: while DMA0 still writes it
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        drain      #-
        dma.load   a, x       #?
#+      drain
        vadds      a, a, 0.5  #! #-
#+      vadds      a, a, 0.5
        drain
        dma.store  y, a
        halt

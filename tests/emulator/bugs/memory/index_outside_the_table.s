# bug: a token that the vocabulary does not have
# expect: out-of-bounds
# operand: index
# says: index[1] = 8 is outside a table of 8 rows
# args: table f32 8 4; y f32 4 4
        .kernel k
        .param  table, in, f32, [8, 4]
        .param  y, out, f32, [4, 4]
        .tile   i, sram, i32, [4]
        .tile   a, sram, f32, [4, 4]
        viota      i, 7      #-
#+      viota      i, 4
        drain
        dma.gather a, table, i   #! #-
#+      dma.gather a, table, i
        drain
        dma.store  y, a
        halt

# bug: the tile of HBM begins one row further on than it should, and ends behind the tensor
# expect: out-of-bounds
# operand: src
# says: reaches 32 bytes past the end of x
# args: x f32 8 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .tile   a, sram, f32, [4, 8]
        taddr      x20, x
        add        x20, x20, 160   #-
#+      add        x20, x20, 128
        tset       t20, x, 0, 4
        tbase      t20, t20, x20
        dma.load   a, t20     #! #-
#+      dma.load   a, t20
        halt

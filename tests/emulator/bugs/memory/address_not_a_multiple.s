# bug: the offset counts elements, and is added to an address in bytes
# expect: misaligned
# operand: src
# says: base is no multiple of 4
# args: x f32 16
        .kernel k
        .param  x, in, f32, [16]
        .tile   a, sram, f32, [4]
        taddr      x20, x
        add        x20, x20, 6    #-
#+      add        x20, x20, 24
        tset       t20, x, 0, 4
        tbase      t20, t20, x20
        dma.load   a, t20         #! #-
#+      dma.load   a, t20
        halt

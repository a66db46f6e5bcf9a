# bug: the base of the output was never set: it is that of the program
# expect: read-only
# operand: dst
# says: which a program may only read
# args: y f32 4
        .kernel k
        .param  y, out, f32, [4]
        .tile   a, sram, f32, [4]
        vfill      a, 1.0
        drain
        tbase      t20, y, gp    #-
#+      tmv        t20, y
        dma.store  t20, a        #! #-
#+      dma.store  t20, a
        halt

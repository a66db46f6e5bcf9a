# bug: rows are gathered from a scratch table of which the program has filled only the first half
# expect: uninitialized
# operand: src
# says: element [1, 0] and 3 more of `a`; the copy has brought
# args: y f32 2 4
        .kernel k
        .param  y, out, f32, [2, 4]
        .param  table, out, f32, [8, 4]
        .tile   half, sram, f32, [4, 4]
        .tile   i, sram, i32, [2]
        .tile   a, sram, f32, [2, 4]
        vfill       half, 1.0
        viota       i, 3     #-
#+      viota       i, 2
        drain
        tslice      t20, table, 0, 0, 4
        dma.store   t20, half
        dma.gather  a, table, i   #? #-
#+      dma.gather  a, table, i
        drain
        vneg        a, a     #! #-
#+      vneg        a, a
        dma.fill    table, 0.0
        drain
        dma.store   y, a
        halt

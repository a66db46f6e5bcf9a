# bug: the table of indices has four entries, of which three are set
# expect: uninitialized
# operand: index
# says: element [3] of `i`; was never written
# args: table f32 8 4; y f32 4 4; ids i32 3 count
        .kernel k
        .param  table, in, f32, [8, 4]
        .param  ids, in, i32, [N]
        .param  y, out, f32, [4, 4]
        .tile   i, sram, i32, [4]
        .tile   a, sram, f32, [4, 4]
        tset        t20, i, 0, 3
        dma.load    t20, ids   #?
        drain
        dma.gather  a, table, i   #! #-
#+      vfill       i, 0.0
#+      drain
#+      dma.gather  a, table, i
        drain
        dma.store   y, a
        halt

# bug: a scatter and a store write the same table from two queues
# expect: race
# operand: dst
# says: DMA1 writes `table`; while DMA0 still
# args: x f32 2 4; table f32 8 4
        .kernel k
        .param  x, in, f32, [2, 4]
        .param  table, inout, f32, [8, 4]
        .tile   i, sram, i32, [2]
        .tile   a, sram, f32, [2, 4]
        .sem    made
        .sem    full
        .sem    put
        viota       i, 3                    signal made
        dma.load    a, x                    signal full
        dma.scatter table, a, i  wait made>=1  signal put   #?
        tslice      t20, table, 0, 0, 2
        dma.sync    q=1          wait full>=1
        dma.store   t20, a, q=1                          #! #-
#+      dma.store   t20, a, q=1  wait put>=1
        halt

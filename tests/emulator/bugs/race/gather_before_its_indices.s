# bug: rows are gathered by indices that are still being made
# expect: race
# operand: index
# says: DMA0 reads `i`; while VPU still writes it
# args: table f32 8 4
        .kernel k
        .param  table, in, f32, [8, 4]
        .param  y, out, f32, [4, 4]
        .tile   i, sram, i32, [4]
        .tile   a, sram, f32, [4, 4]
        .sem    made
        .sem    full
        viota      i, 2                          signal made   #?
        dma.gather a, table, i                   signal full   #! #-
#+      dma.gather a, table, i   wait made>=1    signal full
        dma.store  y, a          wait full>=1
        halt

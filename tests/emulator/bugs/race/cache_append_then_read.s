# bug: a row is appended to a cache, and the whole cache is read on another queue
# expect: race
# operand: src
# says: reads `cache`; while DMA0 still writes it
# args: x f32 1 8; cache f32 16 8; at 5
        .kernel k
        .param  x, in, f32, [1, 8]
        .param  cache, inout, f32, [16, 8]
        .param  y, out, f32, [16, 8]
        .param  at, i64
        .tile   row, sram, f32, [1, 8]
        .tile   all, sram, f32, [16, 8]
        .sem    appended
        .sem    full
        dma.load   row, x
        tslice     t20, cache, 0, at, 1
        dma.store  t20, row                          signal appended   #?
        dma.load   all, cache, q=1                   signal full       #! #-
#+      dma.load   all, cache, q=1 wait appended>=1  signal full
        dma.store  y, all          wait full>=1
        halt

# bug: two stores on different queues write rows 0..4 and 3..7 of the output: they meet in row 3
# expect: race
# operand: dst
# says: DMA1 writes `y`; while DMA0 still writes it
# args: x f32 8 4
        .kernel k
        .param  x, in, f32, [8, 4]
        .param  y, out, f32, [8, 4]
        .tile   a, sram, f32, [8, 4]
        .sem    full
        dma.load   a, x                    signal full
        tslice     t20, a, 0, 0, 4
        tslice     t21, a, 0, 3, 5  #-
#+      tslice     t21, a, 0, 4, 4
        tslice     t22, y, 0, 0, 4
        tslice     t23, y, 0, 3, 5  #-
#+      tslice     t23, y, 0, 4, 4
        dma.store  t22, t20         wait full>=1   #?
        dma.store  t23, t21, q=1    wait full>=1   #! #-
#+      dma.store  t23, t21, q=1    wait full>=1
        halt

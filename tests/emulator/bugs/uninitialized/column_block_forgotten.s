# bug: the output has two blocks of columns, and the second store goes to the first one again
# expect: uninitialized
# operand: -
# says: element [0, 4] and 15 more of its output `y` were never written; the write reaches a part of it only
# args: x f32 4 8
        .kernel k
        .param  x, in, f32, [4, 8]
        .param  y, out, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        dma.load   a, x
        tslice     t20, a, 1, 0, 4
        tslice     t21, a, 1, 4, 4
        tslice     t22, y, 1, 0, 4
        tslice     t23, y, 1, 0, 4   #-
#+      tslice     t23, y, 1, 4, 4
        dma.store  t22, t20
        dma.store  t23, t21          #? #-
#+      dma.store  t23, t21
        halt                         #! #-
#+      halt

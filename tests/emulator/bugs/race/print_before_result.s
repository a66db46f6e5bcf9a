# bug: a tile is printed before the load of it has ended
# expect: race
# operand: src
# says: the sequencer reads `a`; while DMA0 still writes it
# args: x i32 4 count
        .kernel k
        .param  x, in, i32, [4]
        .tile   a, sram, i32, [4]
        .sem    full
        dma.load   a, x      signal full   #?
        dbg.printt "a = ", a               #! #-
#+      dbg.printt "a = ", a   wait full>=1
        halt

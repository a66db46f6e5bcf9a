# bug: the wait for the first load can be met by the second one, which is issued later, on another queue
# expect: race
# operand: src
# says: VPU reads `a`; while DMA0 still writes it; but others do too: a wait for it can be met without this signal
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4]
        .sem    full
        .sem    second
        .sem    made
        dma.load   a, x                         signal full    #?
        vneg       a, a      wait full>=1       signal made    #! #-
        dma.load   b, x, q=1                    signal full    #-
        vadd       b, a, b   wait full>=2       signal made    #-
#+      vneg       a, a      wait full>=1       signal made
#+      dma.load   b, x, q=1                    signal second
#+      vadd       b, a, b   wait second>=1     signal made
        dma.store  y, b      wait made>=2
        halt

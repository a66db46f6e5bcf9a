# bug: a function issues a load and returns; its caller takes the tile for loaded
# expect: race
# operand: a
# says: the dma.load signals `full`, but nothing on the VPU queue waits for it
# args: x f32 4 8
        .kernel k
        .param  x, in, f32, [4, 8]
        .param  y, out, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .sem    full
        .sem    made
        call       fetch
        vmuls      a, a, 2.0                 signal made   #! #-
#+      vmuls      a, a, 2.0  wait full>=1   signal made
        dma.store  y, a       wait made>=1
        halt
fetch:  dma.load   a, x                      signal full   #?
        ret

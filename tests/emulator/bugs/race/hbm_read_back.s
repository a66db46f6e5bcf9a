# bug: what one queue stores in HBM, another loads again without a wait
# expect: race
# operand: src
# says: DMA1 reads `tmp`; while DMA0 still writes it
# args: x f32 4 4; tmp f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  tmp, inout, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4]
        .sem    stored
        .sem    full
        dma.load   a, x
        dma.store  tmp, a                        signal stored   #?
        dma.load   b, tmp, q=1                   signal full     #! #-
#+      dma.load   b, tmp, q=1  wait stored>=1   signal full
        dma.store  y, b         wait full>=1
        halt

# bug: the result is stored before the VPU has written it
# expect: race
# operand: src
# says: DMA1 reads `b`; while VPU still writes it; nothing on the DMA1 queue waits
# args: x f32 16 4
        .kernel k
        .param  x, in, f32, [16, 4]
        .param  y, out, f32, [16, 4]
        .tile   a, sram, f32, [16, 4]
        .tile   b, sram, f32, [16, 4]
        .sem    in
        .sem    out
        dma.load   a, x                      signal in
        vneg       b, a       wait in>=1     signal out  #?
        dma.store  y, b, q=1                             #! #-
#+      dma.store  y, b, q=1  wait out>=1
        halt

# bug: the exponential reads the tile while it is still being loaded
# expect: race
# operand: src
# says: VPU reads `a` (sram 0x0..0x100) while DMA0 still writes it; the dma.load signals `loaded`, but nothing on the VPU queue waits for it; add `wait loaded>=1`
# args: x f32 8 8
        .kernel k
        .param  x, in, f32, [8, 8]
        .param  y, out, f32, [8, 8]
        .tile   a, sram, f32, [8, 8]
        .sem    loaded
        .sem    done
        dma.load   a, x                     signal loaded  #?
        vexp       a, a                     signal done    #! #-
#+      vexp       a, a   wait loaded>=1    signal done
        dma.store  y, a   wait done>=1
        halt

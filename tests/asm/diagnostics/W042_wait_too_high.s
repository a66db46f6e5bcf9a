        .kernel k
        .param  x, in, f32, [64, 64]
        .tile   t, sram, f32, [64, 64]
        .sem    loaded
        dma.load   t, x                       signal loaded
        vexp       t, t   wait loaded>=2
        halt

        .kernel k
        .param  x, in, f32, [64, 64]
        .tile   t, sram, f32, [64, 64]
        .sem    loaded
        .sem    done
        dma.load   t, x                   signal loaded
        vexp       t, t   wait done>=1
        vexp       t, t   wait loaded>=1
        halt

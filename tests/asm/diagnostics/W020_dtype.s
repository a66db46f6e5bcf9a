        .kernel k
        .param  x, in, i32, [R, 64]
        .tile   t, sram, i32, [16, 64]
        tslice     t9, x, 0, 0, 16
        dma.load   t, t9
        drain
        vexp       t, t
        halt

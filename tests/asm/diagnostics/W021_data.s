        .kernel k
        .tile   weights, hbm, f32, [2, 2], at=table
        .tile   t, sram, f32, [2, 2]
        vfill      t, 0
        drain
        dma.store  weights, t
        halt
        .endkernel
        .rodata
table:  .f32    1, 2, 3, 4

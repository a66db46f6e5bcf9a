        .kernel k
        .tile   t, sram, f32, [64, 64]
        halt

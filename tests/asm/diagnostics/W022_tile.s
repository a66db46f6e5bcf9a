        .kernel k
        .tile   t, sram, f32, [16, 64]
        vadd       t, t, t20
        halt

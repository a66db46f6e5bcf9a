        .kernel k
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4], at=0, over=a
        halt

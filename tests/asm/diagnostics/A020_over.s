        .kernel k
        .tile   block, sram, f32, [4, 4]
        .tile   again, sram, f32, [4, 4], over=blok
        halt

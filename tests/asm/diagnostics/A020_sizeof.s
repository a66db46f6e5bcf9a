        .kernel k
        .tile   block, sram, f32, [4, 4]
        li      x5, sizeof(blok)
        halt

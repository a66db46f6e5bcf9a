        .kernel k
        .tile   block, sram, f32, [4, 4]
        .tile   sums, acc, f32, [4, 4], over=block
        halt

        .kernel k
        .param  x, in, f32, [R, C]
        .dim    C
        .tile   block, sram, f32, [16, C]
        halt

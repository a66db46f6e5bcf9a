        .kernel k
        .tile   a, sram, bf16, [64, 128]
        .tile   b, sram, bf16, [256, 64]
        .tile   c, acc,  f32,  [64, 64]
        mm         c, a, b
        halt

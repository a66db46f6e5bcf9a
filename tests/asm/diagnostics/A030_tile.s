.tile buf, sram, f32, [4]

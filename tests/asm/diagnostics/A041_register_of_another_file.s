.kernel k
.tile a, sram, f32, [4], reg=x5

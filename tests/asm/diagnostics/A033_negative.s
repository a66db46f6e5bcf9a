.kernel k
.tile a, sram, f32, [-1]

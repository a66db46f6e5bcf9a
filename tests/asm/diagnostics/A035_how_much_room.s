.kernel k
.tile a, sram, f32, [4, x7], at=0

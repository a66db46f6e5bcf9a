.kernel k
.tile a, sram, f32, []

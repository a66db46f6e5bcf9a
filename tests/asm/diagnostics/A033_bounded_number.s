.kernel k
.tile a, sram, f32, [5<=6]

.kernel k
.tile a, dram, f32, [1]

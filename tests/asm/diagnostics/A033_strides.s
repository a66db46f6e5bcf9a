.kernel k
.tile a, sram, f32, [4, 4], strides=[4]

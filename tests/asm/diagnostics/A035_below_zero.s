.kernel k
.tile a, sram, f32, [4], at=0, strides=[-1]

.kernel k
.tile a, hbm, f32, [4, 4]

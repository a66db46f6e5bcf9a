.kernel k
.param x, in, f32, 4

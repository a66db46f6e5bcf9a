.kernel k
.param n, f32, reg=x3

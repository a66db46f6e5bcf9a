.kernel k
.param a, input, f32, [1]

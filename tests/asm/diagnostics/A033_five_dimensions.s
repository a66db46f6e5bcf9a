.kernel k
.param a, in, f32, [A, B, C, D, E]

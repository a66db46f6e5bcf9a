.kernel k
.param x, in, f32, [R, C]
.tile buf, sram, f32, [4, 4]
.sem ready
.bound D, 4

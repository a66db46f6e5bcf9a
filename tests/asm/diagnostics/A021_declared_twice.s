.kernel k
.param x, in, f32, [R, C]
.tile buf, sram, f32, [4, 4]
.sem ready
.tile x, sram, f32, [1]

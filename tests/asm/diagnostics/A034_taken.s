.kernel k
.param x, in, f32, [R, C]
.tile buf, sram, f32, [4, 4]
.sem ready
.tile a, acc, f32, [1], reg=t3
.tile b, acc, f32, [1], reg=t3

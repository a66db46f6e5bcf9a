.kernel k
.tile t99, sram, f32, [1]

.kernel k
.tile a, sram, f33, [1]

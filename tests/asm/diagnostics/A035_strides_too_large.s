.kernel k
.tile a, sram, u8, [0, 1<<31, 1<<31, 1<<31]

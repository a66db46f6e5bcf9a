.rodata
.i32 1, 1 << 32

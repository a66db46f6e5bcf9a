.rodata
.i32 1.5

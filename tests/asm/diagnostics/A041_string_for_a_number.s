.rodata
.i32 "a"

.rodata
.i64 nowhere

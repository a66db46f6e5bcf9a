.rodata
.zero 1 << 30

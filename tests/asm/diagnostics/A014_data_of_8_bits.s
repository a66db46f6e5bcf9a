.rodata
.u8 256

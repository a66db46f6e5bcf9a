.rodata
.zero 1.5

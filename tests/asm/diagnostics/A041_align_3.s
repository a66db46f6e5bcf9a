.rodata
.align 3

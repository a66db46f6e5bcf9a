.rodata
.asciz 5

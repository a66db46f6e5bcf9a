.rodata
.zero .

.rodata
.inst 5

.rodata
.zero "a"

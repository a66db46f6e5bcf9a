.rodata
.kernel k

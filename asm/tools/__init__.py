"""The commands beside sohu-asm, one file each: sohu-nm, sohu-size, sohu-objdump, sohu-ar."""

.section .bss

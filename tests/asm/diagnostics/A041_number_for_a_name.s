.equ 5, 1

.equ sp, 5

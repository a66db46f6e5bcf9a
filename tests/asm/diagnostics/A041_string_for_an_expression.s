.equ a, "x"

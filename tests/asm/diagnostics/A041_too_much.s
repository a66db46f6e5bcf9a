.equ a, 1, 2

.equ

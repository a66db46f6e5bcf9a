li x1, a / b
.equ a, 1
.equ b, 0

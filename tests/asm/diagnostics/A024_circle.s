.equ a, b
.equ b, a
li x1, a

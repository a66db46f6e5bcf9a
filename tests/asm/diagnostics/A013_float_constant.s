li x1, half
.equ half, 0.5

lf x1, big
.equ big, 16777217

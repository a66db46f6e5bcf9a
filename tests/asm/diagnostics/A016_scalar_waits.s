add x1, x2, x3 wait s0>=1

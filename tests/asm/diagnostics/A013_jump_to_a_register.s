beq x1, x2, x3

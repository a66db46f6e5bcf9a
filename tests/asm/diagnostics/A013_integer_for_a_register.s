add x1, 5, x2

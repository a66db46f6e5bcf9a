li x1, x2 + 1

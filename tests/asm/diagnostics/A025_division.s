li x1, 1 / 0

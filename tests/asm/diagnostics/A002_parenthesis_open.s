li x1, (1

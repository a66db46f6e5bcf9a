li x1, 1 ; li x2, 2

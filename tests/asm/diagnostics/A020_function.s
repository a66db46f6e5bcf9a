        li      x5, mim(1, 2)

        li      x5, align(100, 0)
        li      x6, log2(100)

        li      x5, align(100)
        li      x6, bytes(1)

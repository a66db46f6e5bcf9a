        .set    n, 0
        .set    m, 8 / n
        li      x5, m

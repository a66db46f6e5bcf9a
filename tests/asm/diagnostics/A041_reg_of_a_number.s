        .reg    a, 5

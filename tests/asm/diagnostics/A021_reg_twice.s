        .reg    a, x20
        .reg    a, x21
        .kernel k
        .reg    b
        .reg    b
        halt

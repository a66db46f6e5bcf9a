        .reg    a

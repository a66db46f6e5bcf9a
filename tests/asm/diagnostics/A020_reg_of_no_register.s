        .reg    first, x40

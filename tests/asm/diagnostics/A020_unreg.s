        .reg    first, x20
        .unreg  frist

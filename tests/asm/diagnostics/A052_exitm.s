        .exitm

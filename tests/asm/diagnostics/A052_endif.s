        .endif

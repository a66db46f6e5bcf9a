        .if     1
        nop
        .if     0
        unread

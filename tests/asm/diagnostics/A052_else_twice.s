        .if     1
        nop
        .else
        unread
        .else
        unread
        .endif
        .if     0
        .else
        .elseif 1
        .endif

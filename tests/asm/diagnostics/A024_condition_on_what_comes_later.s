        .if SIZE > 4
        nop
        .else
        unread
        .endif
        .equ    SIZE, 8

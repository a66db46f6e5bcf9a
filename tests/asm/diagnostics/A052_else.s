        .else
        nop

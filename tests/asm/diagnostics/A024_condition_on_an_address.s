here:   nop
        .if here
        nop
        .endif

## a.s
        .weak   perhaps
        li      x5, perhaps
        call    perhaps

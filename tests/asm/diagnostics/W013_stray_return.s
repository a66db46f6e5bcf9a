        .kernel k
        nop
        ret

        .kernel k
        loop       8, outer
        loop       8, inner
        nop
outer:  nop
inner:  halt

        .kernel k
        li         x5, 3
        beq        x5, 3, .+64
        halt

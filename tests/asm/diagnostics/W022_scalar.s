        .kernel k
        loop       4, 1f
        add        x5, x6, 1
1:      halt

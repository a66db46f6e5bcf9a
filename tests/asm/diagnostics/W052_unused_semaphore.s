        .kernel k
        .sem    loaded
        halt

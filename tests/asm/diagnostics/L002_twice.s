## main.s
        .kernel k
        halt
## other.s
        .kernel k
        halt

## a.s
        .kernel again
        halt
## b.s
        nop
        .kernel again
        halt

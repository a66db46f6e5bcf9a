## a.s
        .extern f
        call    f
## b.s
f:      ret

## a.s
        .extern f
        nop
        call    f + 8
## b.s
        .globl  f
f:      ret

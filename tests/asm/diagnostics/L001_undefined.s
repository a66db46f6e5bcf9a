## main.s
        .kernel k
        .extern helper
        call    helper
        halt
## other.s
helpr:  ret
        .globl  helpr

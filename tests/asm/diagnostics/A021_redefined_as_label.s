        .equ    n, 4
n:      nop

        .kernel k
        nop
.rept 22
        .reg    a\+
.endr
        halt

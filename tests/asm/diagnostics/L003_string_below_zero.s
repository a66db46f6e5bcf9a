## a.s
        .extern name
        dbg.mark name - 8192
## b.s
        .globl  name
        nop
        .rodata
name:   .asciz  "b"

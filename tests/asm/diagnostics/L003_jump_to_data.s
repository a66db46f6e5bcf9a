## main.s
        .extern table
        j       table
## other.s
        .rodata
        .globl  table
table:  .i32    1

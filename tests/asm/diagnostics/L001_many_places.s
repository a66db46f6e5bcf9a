## a.s
        .extern tabel
        li      x5, tabel
        li      x6, tabel + 8
        .rodata
        .quad   tabel
## b.s
        .extern tabel
        li      x7, tabel
        li      x8, tabel
        li      x9, tabel
## c.s
        .globl  table
        .rodata
table:  .quad   1

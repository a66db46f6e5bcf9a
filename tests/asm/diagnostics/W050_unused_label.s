        .kernel k
        li         x5, 4
again:  sub        x5, x5, 1            # nothing comes back here
        halt
        .rodata
table:  .i32    1, 2, 3

        .kernel k
        .tile   table, hbm, f32, [4], at=tabel
        halt
        .rodata
table:  .f32    1, 2, 3, 4

        .kernel k
        .param  x, in, f32, [ROWS, COLS]
        .dim    ROW
        halt

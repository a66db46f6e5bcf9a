        .kernel k
        .param  n, i64
        beq        n, 0, 1f
        dbg.push   "layer"
        nop
1:      dbg.mark   "here"
        halt

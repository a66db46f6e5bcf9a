        .kernel k
        dbg.push   "layer"
        dbg.push   "attention"
        nop
        dbg.pop
        halt

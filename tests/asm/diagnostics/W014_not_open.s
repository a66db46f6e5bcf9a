        .kernel k
        dbg.push   "layer"
        dbg.pop
        dbg.pop
        halt

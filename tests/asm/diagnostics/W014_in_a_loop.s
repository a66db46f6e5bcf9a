        .kernel k
        loop       4, 1f
        dbg.push   "turn"
1:      nop
        halt

dbg.mark "a\x4"

dbg.mark "a\0b"

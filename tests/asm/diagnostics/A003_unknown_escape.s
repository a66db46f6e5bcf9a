dbg.mark "a\q"

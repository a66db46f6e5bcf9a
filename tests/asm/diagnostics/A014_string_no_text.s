dbg.mark "\xff"

dbg.mark -1

dbg.mark "abc

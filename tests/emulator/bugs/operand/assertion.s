# bug: the program's own assertion fails: the sequence is longer than the cache
# expect: assert
# says: the cache is full
# args: pos 16
        .kernel k
        .param  pos, i64
#+      and        pos, pos, 15
        slt        x20, pos, 16
        dbg.assert x20, "the cache is full"   #! #-
#+      dbg.assert x20, "the cache is full"
        halt

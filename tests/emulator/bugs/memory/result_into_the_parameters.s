# bug: the count is stored over the parameter it came with
# expect: read-only
# says: is in the parameter block; which a program may only read
# args: n 3
        .kernel k
        .param  n, i64
        add        n, n, 1
        sd         n, args, 0    #! #-
#+      sd         n, sp, -8
        halt

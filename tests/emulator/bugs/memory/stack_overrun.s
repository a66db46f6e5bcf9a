# bug: a function saves more than it has made room for
# expect: out-of-bounds
# says: is not allocated
        .kernel k
        sd         ra, sp, 8     #! #-
#+      sd         ra, sp, -8
        halt

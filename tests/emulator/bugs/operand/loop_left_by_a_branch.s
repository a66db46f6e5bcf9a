# bug: the body of a hardware loop is left by a branch, so that its frame stays
# expect: operand
# says: loops nest deeper than 8; was a loop's body left by a branch?
        .kernel k
        li         x20, 0
again:  add        x20, x20, 1
        bge        x20, 20, out
        loop       4, 9f          #! #-
        j          again          #-
#+      loop       4, 9f
        nop
9:      j          again
out:    halt

# bug: the drain stands before the loop, the reset in it
# expect: semaphore
# says: is reset while engines may be at work
        .kernel k
        .tile   a, sram, f32, [4]
        .sem    one
        vfill      a, 1.0
        drain                #-
        loop       3, 9f
#+      drain
        semreset   one       #! #-
#+      semreset   one
        vexp       a, a      signal one
        vmins      a, a, 1.0
9:      halt

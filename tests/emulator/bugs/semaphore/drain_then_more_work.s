# bug: between the drain and the reset an instruction is issued
# expect: semaphore
# says: is reset while engines may be at work
        .kernel k
        .tile   a, sram, f32, [4]
        .sem    one
        vfill      a, 1.0    signal one
        drain
        vexp       a, a      #-
        semreset   one       #! #-
#+      semreset   one
        halt

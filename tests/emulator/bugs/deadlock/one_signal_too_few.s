# bug: the loop signals four times, and the wait asks for five
# expect: deadlock
# says: for done >= 5, which is 4; is never reached
        .kernel k
        .tile   a, sram, f32, [4, 4]
        .sem    done
        vfill      a, 1.0
        loop       4, 9f
        vneg       a, a     signal done
9:
        sync       wait done>=5   #! #-
#+      sync       wait done>=4
        halt

# bug: the value of a wait is read when it issues, and the register is set only afterwards
# expect: deadlock
# says: for done >= 9, which is 1; is never reached
        .kernel k
        .tile   a, sram, f32, [4]
        .sem    done
        vfill      a, 1.0     signal done
        li         x20, 9     #-
#+      li         x20, 1
        vexp       a, a       wait done>=x20
        li         x20, 1
        halt                  #! #-
#+      halt

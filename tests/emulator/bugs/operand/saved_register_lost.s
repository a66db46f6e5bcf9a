# bug: a function that calls another one does not save its return address
# expect: limit
# says: instructions have run
        .kernel k
        call       outer
        halt
outer:
#+      sub        sp, sp, 16
#+      sd         ra, sp, 0
        call       inner
#+      ld         ra, sp, 0
#+      add        sp, sp, 16
        ret
inner:  ret

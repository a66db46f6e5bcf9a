# bug: two are signalled where three are waited for
# expect: deadlock
# says: what is left signals it up to 2 only
        .kernel k
        .tile   a, sram, f32, [4]
        .sem    go
        .sem    n
        dma.sync   wait go>=1  signal n+=2
        vfill      a, 1.0   wait n>=3    #-
#+      vfill      a, 1.0   wait n>=2
#+      sync       signal go
        halt       #! #-
#+      halt

# bug: a descriptor is loaded from the stack below the one that was saved
# expect: uninitialized
# operand: -
# says: the sequencer reads `the stack`
        .kernel k
        .tile      a, sram, f32, [4]
        tst        a, sp, -64
        tld        t20, sp, -128   #! #-
#+      tld        t20, sp, -64
        halt

# bug: a register is restored from another slot than it was saved to
# expect: uninitialized
# operand: -
# says: the sequencer reads `the stack`; nothing was stored there since the launch
        .kernel k
        li         x20, 5
        sub        sp, sp, 16
        sd         x20, sp, 0
        li         x20, 0
        ld         x20, sp, 8      #! #-
#+      ld         x20, sp, 0
        add        sp, sp, 16
        halt

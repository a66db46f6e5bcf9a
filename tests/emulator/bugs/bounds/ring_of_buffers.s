# bug: the slot of a ring of three is computed modulo 4
# expect: out-of-bounds
# operand: dst
# says: past the end of `ring`, into `next`
        .kernel k
        .tile   ring, sram, f32, [24, 4]
        .tile   next, sram, f32, [8, 4]
        .reg    n
        taddr      x22, ring
        li         n, 0
        loop       5, 9f
        rem        x20, n, 4     #-
#+      rem        x20, n, 3
        mul        x20, x20, 8
        min        x21, x20, 23
        mul        x21, x21, 16
        add        x21, x21, x22
        tset       t20, ring, 0, 8
        tbase      t20, t20, x21
        vfill      t20, 0.0      #! #-
#+      vfill      t20, 0.0
        add        n, n, 1
9:
        halt

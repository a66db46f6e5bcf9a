# bug: the second half of a tile begins one row too late and ends one row behind it
# expect: out-of-bounds
# operand: dst
# says: past the end of `a`
        .kernel k
        .tile   a, sram, f32, [8, 16]
        .tile   b, sram, f32, [8, 16]
        taddr      x20, a
        add        x20, x20, 320   #-
#+      add        x20, x20, 256
        tset       t20, a, 0, 4
        tbase      t20, t20, x20
        vfill      t20, 1.0      #! #-
#+      vfill      t20, 1.0
        halt

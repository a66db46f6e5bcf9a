# bug: the last row of the tile is made longer than the tile is wide
# expect: out-of-bounds
# operand: src
# says: past the end of `a`
        .kernel k
        .tile   a, sram, f32, [4, 8]
        .tile   b, sram, f32, [1, 16]
        vfill      a, 1.0
        tslice     t20, a, 0, 3, 1
        tset       t20, t20, 1, 16   #-
#+      tset       t20, t20, 1, 8
#+      tset       b, b, 1, 8
        vmov       b, t20    #! #-
#+      vmov       b, t20
        halt

# bug: M was raised for the product and not in the declaration of the accumulator
# expect: out-of-bounds
# operand: acc
# says: past the end of `c`, into `d`
        .kernel k
        .tile   a, sram, f32, [16, 8]
        .tile   b, sram, f32, [8, 8]
        .tile   c, acc, f32, [8, 8]
        .tile   d, acc, f32, [8, 8]
        vfill      a, 1.0
        vfill      b, 1.0
        drain
        tset       t20, c, 0, 16  #-
#+      tset       t20, c, 0, 8
#+      tset       a, a, 0, 8
        mm         t20, a, b      #! #-
#+      mm         t20, a, b
        halt

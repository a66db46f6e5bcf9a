# bug: the right factor was not transposed
# expect: operand
# operand: b
# says: does not fit K=8 in a
        .kernel k
        .tile   a, sram, f32, [4, 8]
        .tile   b, sram, f32, [4, 8]
        .tile   c, acc, f32, [4, 4]
        vfill      a, 1.0
        vfill      b, 1.0
        drain
#+      tswap      b, b, 0, 1
        mm         c, a, b     #! #-
#+      mm         c, a, b
        halt

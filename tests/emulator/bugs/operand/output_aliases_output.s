# bug: the maxima and the sums of the softmax state were given one tile
# expect: operand
# operand: l
# says: overlaps m, which is written too
        .kernel k
        .tile   p, sram, f32, [2, 4]
        .tile   m, sram, f32, [2, 1]
        .tile   l, sram, f32, [2, 1]
        .tile   o, sram, f32, [2, 4]
        lf         x20, 1.0
        vfill      p, 0.0
        vfill      m, -inf
        vfill      l, 0.0
        vfill      o, 0.0
        vosm       p, p, m, m, o, x20, x0, x0   #! #-
#+      vosm       p, p, m, l, o, x20, x0, x0
        halt

# bug: every key lies after the query, so that the weights of the row are 0 / 0
# expect: nan
# operand: dst
# says: are NaN; there: b 0
# args: x f32 2 4; y f32 2 4
        .kernel k
        .param  x, in, f32, [2, 4]
        .param  y, out, f32, [2, 4]
        .tile   s, sram, f32, [2, 4]
        .tile   m, sram, f32, [2, 1]
        .tile   l, sram, f32, [2, 1]
        .tile   o, sram, f32, [2, 4]
        lf         x20, 1.0
        li         x21, 0
        li         x22, 9       #-
#+      li         x22, 0
        dma.load   s, x
        vfill      m, -inf
        vfill      l, 0.0
        vfill      o, 0.0
        drain
        vosm       s, s, m, l, o, x20, x21, x22, causal=1
        vdiv       o, o, l      #! #-
#+      vdiv       o, o, l
        drain
        dma.store  y, o
        halt

# bug: masks of +inf and -inf meet in one sum
# expect: nan
# operand: dst
# says: are NaN; there: a inf, b -inf
# args: y f32 4 4
        .kernel k
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4]
        vfill      a, inf       #-
#+      vfill      a, -inf
        vfill      b, -inf
        vadd       a, a, b      #! #-
#+      vadd       a, a, b
        drain
        dma.store  y, a
        halt

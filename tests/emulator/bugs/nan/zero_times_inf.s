# bug: a mask of 0 and 1 is multiplied with scores of -inf
# expect: nan
# operand: dst
# says: are NaN; there: a -inf, b 0
# args: y f32 2 4
        .kernel k
        .param  y, out, f32, [2, 4]
        .tile   s, sram, f32, [2, 4]
        .tile   mask, sram, f32, [2, 4]
        vfill      s, -inf
        vfill      mask, 0.0    #-
#+      vfill      mask, 1.0
        vmul       s, s, mask   #! #-
#+      vmul       s, s, mask
        drain
        dma.store  y, s
        halt

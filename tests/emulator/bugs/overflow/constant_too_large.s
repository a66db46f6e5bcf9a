# bug: the number that masks is too large for the dtype of the tile
# expect: overflow
# operand: dst
# says: 100000 does not fit f16
# args: y f16 4 4
        .kernel k
        .param  y, out, f16, [4, 4]
        dma.fill   y, 1e5       #! #-
#+      dma.fill   y, 6e4
        halt

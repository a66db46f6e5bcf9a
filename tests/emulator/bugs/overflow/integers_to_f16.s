# bug: positions of a long sequence as f16
# expect: overflow
# operand: dst
# says: 70000 does not fit f16
# args: y f16 4
        .kernel k
        .param  y, out, f16, [4]
        .tile   i, sram, i32, [4]
        .tile   h, sram, f16, [4]
        li         x20, 70000   #-
#+      li         x20, 60000
        viota      i, x20
        vi2f       h, i         #! #-
#+      vi2f       h, i
        drain
        dma.store  y, h
        halt

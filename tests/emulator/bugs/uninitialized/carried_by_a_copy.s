# bug: what was never written is moved twice and then used; the copies are not at fault
# expect: uninitialized
# operand: src
# says: `c`; the copy has brought the missing elements here
# args: y f32 4 4
        .kernel k
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, bf16, [4, 4]
        .tile   c, sram, f32, [4, 4]
#+      vfill      a, 3.0
        vmov       b, a
        vmov       c, b         #? #-
        vsqrt      c, c         #! #-
#+      vmov       c, b
#+      vsqrt      c, c
        drain
        dma.store  y, c
        halt

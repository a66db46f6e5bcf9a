# bug: the tile is taken for a constant that the launch before has left in SRAM
# expect: uninitialized
# operand: b
# says: everything of `w`; was never written since the launch
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   w, sram, f32, [1, 4]
#+      vfill      w, 2.0
        dma.load   a, x
        drain
        vmul       a, a, w     #! #-
#+      vmul       a, a, w
        drain
        dma.store  y, a
        halt

# bug: the second alternative of a selection was never set; which elements it gives does not matter
# expect: uninitialized
# operand: b
# says: the element of `low`
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   low, sram, f32, [1, 1]
#+      vfill      low, 0.0
        dma.load   a, x
        drain
        vsel       a, a, a, low     #! #-
#+      vsel       a, a, a, low
        drain
        dma.store  y, a
        halt

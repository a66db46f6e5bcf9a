# bug: the result is made and never stored
# expect: uninitialized
# operand: -
# says: the kernel ends, and everything of its output `y` was never written
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        dma.load   a, x
        drain
        vexp       a, a
        drain
#+      dma.store  y, a
        halt                   #! #-
#+      halt

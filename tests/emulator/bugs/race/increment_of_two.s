# bug: the first signal adds two, so that a wait for two does not cover the second load
# expect: race
# operand: a
# says: waits for it, but for less; which makes it 3
# args: x f32 4 4; w f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  w, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .tile   b, sram, f32, [4, 4]
        .sem    full
        .sem    made
        dma.load   b, w      signal full+=2   #-
#+      dma.load   b, w      signal full
        dma.load   a, x      signal full      #?
        vadd       a, a, b   wait full>=2  signal made   #! #-
#+      vadd       a, a, b   wait full>=2  signal made
        dma.store  y, a      wait made>=1
        halt

# bug: a block of 6 rows in a tile that was declared for 4
# expect: out-of-bounds
# operand: dst
# says: reaches 64 bytes past the end of `a`, into `b`; was a dimension set larger than the tile was declared?
# args: x f32 6 8; n 6
        .kernel k
        .param  x, in, f32, [6, 8]
        .param  n, i64
        .tile   a, sram, f32, [4, 8]
        .tile   b, sram, f32, [4, 8]
#+      min        n, n, 4
#+      tslice     x, x, 0, 0, n
        tset       t20, a, 0, n
        dma.load   t20, x     #! #-
#+      dma.load   t20, x
        halt

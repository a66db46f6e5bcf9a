# bug: a tile of bytes is dequantized in place, where four times as many are needed
# expect: out-of-bounds
# operand: dst
# says: past the end of `q`
# args: x i8 4 16
        .kernel k
        .param  x, in, i8, [4, 16]
        .tile   f, sram, f32, [4, 16]
        .tile   q, sram, i8, [4, 16]
        .tile   s, sram, f32, [1, 1]
        dma.load   q, x
        vfill      s, 0.5
        drain
        taddr      x20, q
        tbase      t20, f, x20     #-
#+      tmv        t20, f
        vdequant   t20, q, s       #! #-
#+      vdequant   t20, q, s
        halt

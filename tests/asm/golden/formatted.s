#  softmax,   by hand

        .kernel softmax
        .param  x,       in,    bf16, [R, C]    // the input
        .param  weights, inout, f32,  [C]
        .tile   buffer, sram, f32, [128, x9 <= 4096], at=0x100
        .sem    loaded

        li         x5, (1+2)*3                                                  # first
1:      dma.load   buffer, x, q=1                          signal loaded
        vmuls      buffer, buffer, 2.0  wait loaded>=x7+1  signal loaded+=2     # twice
                                                                                # as large
again:  bne        x5, 0, 1b
a_long_label: another:
        nop                                                                     # here
        # indented
# not indented
        halt
li x1 0x ;
        dbg.mark   "two  blanks, # and no comment"

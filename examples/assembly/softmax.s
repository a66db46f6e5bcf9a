# y = softmax(x), row by row, in blocks of ROWS rows; two buffers, so that a block is loaded while another is computed.
#
#   sohu-asm examples/assembly/softmax.s -o softmax.elf
#   sohu run softmax.elf --arg x=x.npy --out y=y.npy

        .include "lib.s"

        .equ    ROWS, 64

        .macro  softmax_rows t, s       # e^(t - max) / sum, with s for what a row has one of
        vmax.row   \s, \t
        vsub       \t, \t, \s
        vexp       \t, \t
        vsum.row   \s, \t
        vdiv       \t, \t, \s
        .endm

        .kernel softmax
        .param  x, in,  bf16, [R, C]
        .param  y, out, bf16, [R, C]
        .bound  C, 1024
        .dim    R
        .dim    C
        .tile   raw, sram, bf16, [ROWS, C], buffers=2
        .tile   t,   sram, f32,  [ROWS, C]
        .tile   s,   sram, f32,  [ROWS, 1]
        .sem    loaded
        .sem    ready
        .sem    stored
        .reg    first                   # row of this block
        .reg    rows                    # of this block: the last one may be short
        .reg    turn
        .reg    from, t
        .reg    to, t

        li         first, 0
        li         turn, 0
        blocks     x5, R, ROWS
        loop       x5, done
        sub        rows, R, first
        min        rows, rows, ROWS
        .irp    name, raw, t, s
        tset       \name, \name, 0, rows
        .endr
        tslice     from, x, 0, first, rows
        tslice     to, y, 0, first, rows
        dma.load   raw, from     wait stored>=turn-1  signal loaded     # the block before the last one is stored
        vmov       t, raw        wait loaded>=turn+1
        softmax_rows t, s
        vmov       raw, t                             signal ready
        dma.store  to, raw, q=1  wait ready>=turn+1   signal stored
        swap       raw, raw.1
        add        first, first, ROWS
        add        turn, turn, 1
done:   drain
        halt
        .endkernel

# y = the discrete cosine transform (type II, orthonormal) of each row of 8 numbers, as a product with a matrix that is
# part of the program.
#
#   sohu-asm examples/assembly/dct.s -o dct.elf
#   sohu run dct.elf --arg x=x.npy --out y=y.npy

        .include "lib.s"

        .equ    ROWS, 256

        .kernel dct
        .param  x, in,  f32, [R, 8]
        .param  y, out, f32, [R, 8]
        .dim    R
        .tile   table,  hbm,  f32, [8, 8], at=cosines
        .tile   matrix, sram, f32, [8, 8]
        .tile   block,  sram, f32, [ROWS, 8]
        .tile   out,    sram, f32, [ROWS, 8]
        .tile   acc,    acc,  f32, [ROWS, 8]
        .sem    loaded
        .sem    ready
        .sem    stored
        .reg    first
        .reg    rows
        .reg    turn
        .reg    part, t

        dma.load   matrix, table                            signal loaded
        li         first, 0
        li         turn, 0
        blocks     x5, R, ROWS
        loop       x5, done
        sub        rows, R, first
        min        rows, rows, ROWS
        .irp    name, block, out, acc
        tset       \name, \name, 0, rows
        .endr
        tslice     part, x, 0, first, rows
        dma.load   block, part         wait stored>=turn    signal loaded
        mm         acc, block, matrix  wait loaded>=turn+2
        mout       out, acc                                 signal ready
        tslice     part, y, 0, first, rows
        dma.store  part, out, q=1      wait ready>=turn+1   signal stored
        add        first, first, ROWS
        add        turn, turn, 1
done:   drain
        halt
        .endkernel

# cosines[n, k] = c(k) * cos((2n + 1) k pi / 16), where c(0) = sqrt(1/8), c(k) = 1/2. The lower half is the upper one
# from below, with every other column negated.

        .equ    c1, 0.49039264020161522
        .equ    c2, 0.46193976625564337
        .equ    c3, 0.41573480615127262
        .equ    c4, 0.35355339059327373
        .equ    c5, 0.27778511650980109
        .equ    c6, 0.19134171618254489
        .equ    c7, 0.09754516100806412

        .macro  row0 sign
        .f32    c4, \sign*c1, c2, \sign*c3, c4, \sign*c5, c6, \sign*c7
        .endm
        .macro  row1 sign
        .f32    c4, \sign*c3, c6, -\sign*c7, -c4, -\sign*c1, -c2, -\sign*c5
        .endm
        .macro  row2 sign
        .f32    c4, \sign*c5, -c6, -\sign*c1, -c4, \sign*c7, c2, \sign*c3
        .endm
        .macro  row3 sign
        .f32    c4, \sign*c7, -c2, -\sign*c5, c4, \sign*c3, -c6, -\sign*c1
        .endm

        .rodata
        .balign 64
cosines:
        .irp    n, 0, 1, 2, 3
        row\n      1
        .endr
        .irp    n, 3, 2, 1, 0
        row\n      (-1)
        .endr

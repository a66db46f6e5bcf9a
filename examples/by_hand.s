# y = 2 x + y, in blocks of 64 rows, written by hand.
#
#   sohu-asm examples/by_hand.s -o axpy.elf
#   sohu run axpy.elf --arg x=x.npy --arg y=y.npy --out y=y.npy

        .kernel axpy
        .param  x, in, f32, [R, C]
        .param  y, inout, f32, [R, C]
        .bound  C, 1024
        .tile   a, sram, f32, [64, 1024]
        .tile   b, sram, f32, [64, 1024]

        tget    x4, x, 0                # R
        tget    x5, x, 1                # C
        tset    a, a, 1, x5             # the tiles are as wide as x
        tset    b, b, 1, x5
        add     x6, x4, 63
        div     x6, x6, 64              # blocks
        li      x7, 0                   # first row of this block
        li      x8, 0                   # blocks stored so far
        loop    x6, done
        sub     x9, x4, x7
        min     x9, x9, 64              # rows of this block: the last one may be short
        tset    a, a, 0, x9
        tset    b, b, 0, x9
        tslice  t10, x, 0, x7, x9
        tslice  t11, y, 0, x7, x9
        dma.load  a, t10                wait s2>=x8     signal s0   # not before the last block is stored
        dma.load  b, t11                                signal s0
        mul     x10, x8, 2
        vmuls   a, a, 2.0               wait s0>=x10+2
        vadd    b, b, a                                 signal s1
        dma.store t11, b, q=1           wait s1>=x8+1   signal s2
        add     x7, x7, 64
        add     x8, x8, 1
done:   drain
        halt
        .endkernel

# y = gated RMSNorm of x by z, a block of 64 rows at a time.
#
#   sohu-asm by_hand.s -o gnorm.elf
#   sohu run gnorm.elf --arg x=x.npy --arg z=z.npy --arg w=w.npy --out y.npy

        .kernel gnorm
        .param  x, in,  f32, [R, C]
        .param  z, in,  f32, [R, C]
        .param  w, in,  f32, [C]
        .param  y, out, f32, [R, C]
        .bound  C, 1024
        .tile   a, sram, f32, [x9<=64, x5<=1024]
        .tile   b, sram, f32, [x9<=64, x5<=1024]
        .tile   weight, sram, f32, [x5<=1024]
        .sem    loaded
        .sem    normed
        .sem    stored

        tget    x4, x, 0                # R
        tget    x5, x, 1                # C
        li      x7, 0                   # first row of this block
        li      x8, 0                   # blocks so far
        dma.load  weight, w
1:      sub     x9, x4, x7
        min     x9, x9, 64              # rows of this block: the last one may be short
        tslice  t20, x, 0, x7, x9
        tslice  t21, z, 0, x7, x9
        tslice  t22, y, 0, x7, x9
        dma.load  a, t20                        wait stored>=x8
        dma.load  b, t21                        signal loaded
        add     x8, x8, 1
        vgnorm    a, a, b, weight, 1e-6         wait loaded>=x8  signal normed
        dma.store t22, a                        wait normed>=x8  signal stored
        add     x7, x7, 64
        blt     x7, x4, 1b
        halt
        .endkernel

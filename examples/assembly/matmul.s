# c = a @ b in bf16, by blocks of 128 x 128; the next operands are loaded while the MXU works on these.
#
#   sohu-asm examples/assembly/matmul.s -o matmul.elf
#   sohu run matmul.elf --arg a=a.npy --arg b=b.npy --out c=c.npy

        .include "lib.s"

        .equ    SIDE, 128

        .macro  size d, whole, at       # d = how much of `whole` the block that begins `at` has
        sub        \d, \whole, \at
        min        \d, \d, SIDE
        .endm

        .macro  window d, src, i, rows, j, cols         # d = src[i : i+rows, j : j+cols]
        tslice     \d, \src, 0, \i, \rows
        tslice     \d, \d, 1, \j, \cols
        .endm

        .macro  shape tile, rows, cols
        tset       \tile, \tile, 0, \rows
        tset       \tile, \tile, 1, \cols
        .endm

        .macro  step multiply           # acc (+)= a[i.., k..] @ b[k.., j..]; once more in `steps`
        size       depth, K, k
        shape      left, rows, depth
        shape      right, depth, cols
        window     from, a, i, rows, k, depth
        dma.load   left, from   wait used>=steps-1  signal loaded
        window     from, b, k, depth, j, cols
        dma.load   right, from                      signal loaded
        sll        x5, steps, 1
        \multiply  acc, left, right  wait loaded>=x5+2  signal used
        swap       left, left.1
        swap       right, right.1
        add        k, k, SIDE
        add        steps, steps, 1
        .endm

        .kernel matmul
        .param  a, in,  bf16, [M, K]
        .param  b, in,  bf16, [K, N]
        .param  c, out, bf16, [M, N]
        .irp    d, M, K, N
        .dim    \d
        .endr
        .tile   left,  sram, bf16, [SIDE, SIDE], buffers=2
        .tile   right, sram, bf16, [SIDE, SIDE], buffers=2
        .tile   acc,   acc,  f32,  [SIDE, SIDE]
        .tile   block, sram, bf16, [SIDE, SIDE]
        .sem    loaded
        .sem    used
        .sem    ready
        .sem    stored
        .irp    r, i, j, k, rows, cols, depth, steps, done
        .reg    \r
        .endr
        .reg    from, t

        .irp    r, i, steps, done
        li         \r, 0
        .endr
        blocks     x6, M, SIDE
        blocks     x7, N, SIDE
        blocks     x8, K, SIDE
        sub        x8, x8, 1
        loop       x6, rows_end
        size       rows, M, i
        li         j, 0
        loop       x7, cols_end
        size       cols, N, j
        shape      acc, rows, cols
        shape      block, rows, cols
        li         k, 0
        step       mm
        loop       x8, depth_end
        step       mma
depth_end:
        mout       block, acc        wait stored>=done   signal ready
        window     from, c, i, rows, j, cols
        dma.store  from, block, q=1  wait ready>=done+1  signal stored
        add        done, done, 1
        add        j, j, SIDE
cols_end:
        add        i, i, SIDE
rows_end:
        drain
        halt
        .endkernel

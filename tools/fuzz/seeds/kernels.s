# Two kernels and a function, with a bit of everything: mutations start from files like this one.
        .file 1 "attention.py"
        .file 2 "lib/möbius.py"
        .kernel softmax
        .loc 1 10 3
        .param  x, in, bf16, [R, 64]
        .param  n, i64
        .bound  R, 4096
        .tile   raw, sram, bf16, [128, n<=4096]
        .sem    loaded
        .prologue
        .loc 1 11 5
1: again: dma.load raw, x, q=1           signal loaded
        dbg.print "n = ", n              # a string, by itself in .rodata
        .loc 2 300
        vmov    raw, raw                 wait loaded>=x7+1
        bne     n, 0, 1b
        vfill   raw, -1.5e-3
        .loc 1 12
        .equ    K, 4 * 2 + again
        li      x5, K
        dbg.mark "end"
        halt
        .endkernel
        .globl  helper
helper: ret
        .kernel second
        .loc 1 90 1
        .tile   acc, acc, f32, [8, 8], at=0x100, strides=[16, 1]
        dbg.mark table
        halt
        .rodata
table:  .f32 1.5, -2
        .asciz "text"

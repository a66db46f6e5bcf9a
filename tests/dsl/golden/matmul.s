        .file   1 "/matmul.py"
        .kernel matmul
        .param  a, in, bf16, [M, K], reg=t0
        .param  b, in, bf16, [K, N], reg=t1
        .param  c, out, bf16, [M, N], reg=t2
        .tile   acc, acc, f32, [64, 64], at=0x0, reg=t3
        .tile   tmp, sram, bf16, [64, 64], at=0x0, reg=t4
        .tile   tmp_2, sram, bf16, [64, 64], at=0x2000, reg=t5
        .tile   tmp_3, sram, bf16, [64, 64], at=0x4000, reg=t6
        .loc    1 14 1
        li          x4, 0
        li          x5, 0
        li          x6, 0
        li          x7, 0
        tget        x8, a, 0
        tget        x9, a, 1
        tget        x11, b, 1
        .loc    1 16 5
        add         x12, x8, 63
        div         x12, x12, 64
        li          x13, 0
        loop        x12, .L0
        .loc    1 17 9
        sub         x12, x8, x13
        min         x12, x12, 64
        tslice      t7, c, 0, x13, x12
        tslice      t8, a, 0, x13, x12
        add         x14, x11, 63
        div         x14, x14, 64
        li          x15, 0
        tset        acc, acc, 0, x12
        tset        tmp, tmp, 0, x12
        tset        tmp_3, tmp_3, 0, x12
        loop        x14, .L1
        .loc    1 18 19
        sub         x12, x11, x15
        min         x12, x12, 64
        tslice      t9, t7, 1, x15, x12
        .loc    1 19 19
        tset        acc, acc, 1, x12
        vfill       acc, 0.0                              signal s3
        .loc    1 20 13
        add         x14, x9, 63
        div         x14, x14, 64
        li          x16, 0
        tset        tmp_2, tmp_2, 1, x12
        add         x7, x7, 1
        loop        x14, .L2
        .loc    1 21 24
        sub         x14, x9, x16
        min         x14, x14, 64
        tslice      t10, t8, 1, x16, x14
        tset        tmp, tmp, 1, x14
        dma.load    tmp, t10                              wait s2>=x6  signal s0
        .loc    1 21 52
        tslice      t10, b, 0, x16, x14
        tslice      t10, t10, 1, x15, x12
        tset        tmp_2, tmp_2, 0, x14
        dma.load    tmp_2, t10                            signal s0
        .loc    1 21 17
        mxu.sync                                          wait s0>=x4+2  signal s2
        mma         acc, tmp, tmp_2                       wait s3>=x7  signal s2
        .loc    1 20 13
        add         x16, x16, 64
        add         x4, x4, 2
        add         x6, x6, 2
.L2:
        .loc    1 22 13
        tset        tmp_3, tmp_3, 1, x12
        vpu.sync                                          wait s1>=x5  signal s3
        vmov        tmp_3, acc                            wait s2>=x6  signal s3
        dma.store   t9, tmp_3, q=1                        wait s3>=x7+2  signal s1
        .loc    1 17 9
        add         x15, x15, 64
        add         x7, x7, 2
        add         x5, x5, 1
.L1:
        .loc    1 16 5
        add         x13, x13, 64
.L0:
        .loc    1 14 1
        drain
        halt
        .endkernel

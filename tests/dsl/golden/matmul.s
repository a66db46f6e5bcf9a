        .file   1 "/matmul.py"
        .kernel matmul
        .param  a, in, bf16, [M, K], reg=t0
        .param  b, in, bf16, [K, N], reg=t1
        .param  c, out, bf16, [M, N], reg=t2
        .tile   tmp, sram, bf16, [64, 64], at=0x0, reg=t3
        .tile   tmp_2, sram, bf16, [64, 64], at=0x2000, reg=t4
        .tile   acc, acc, f32, [64, 64], at=0x0, reg=t5
        .tile   tmp_3, sram, bf16, [64, 64], at=0x4000, reg=t6
        .tile   tmp_4, sram, bf16, [64, 64], at=0x6000, reg=t7
        .tile   tmp_5, sram, bf16, [64, 64], at=0x8000, reg=t8
        .loc    1 14 1
        li          x4, 0
        li          x5, 0
        li          x6, 0
        li          x7, 0
        tget        x8, a, 0
        tget        x9, a, 1
        tget        x11, b, 1
        .loc    1 18 5
        min         x12, x9, 64
        tslice      t9, b, 0, 0, x12
        add         x13, x8, 63
        div         x13, x13, 64
        li          x14, 0
        tset        tmp, tmp, 1, x12
        tset        tmp_2, tmp_2, 0, x12
        loop        x13, .L0
        .loc    1 19 9
        sub         x13, x8, x14
        min         x13, x13, 64
        tslice      t10, a, 0, x14, x13
        tslice      t11, t10, 1, 0, x12
        tslice      t12, c, 0, x14, x13
        add         x15, x11, 63
        div         x15, x15, 64
        li          x16, 0
        tset        tmp, tmp, 0, x13
        tset        acc, acc, 0, x13
        tset        tmp_3, tmp_3, 0, x13
        tset        tmp_5, tmp_5, 0, x13
        loop        x15, .L1
        .loc    1 20 19
        dma.load    tmp, t11                              wait s2>=x6  signal s0
        .loc    1 20 41
        sub         x13, x11, x16
        min         x13, x13, 64
        tslice      t13, t9, 1, x16, x13
        tset        tmp_2, tmp_2, 1, x13
        dma.load    tmp_2, t13                            signal s0
        .loc    1 20 19
        tset        acc, acc, 1, x13
        mxu.sync                                          wait s0>=x4+2  signal s2
        mm          acc, tmp, tmp_2                       wait s3>=x7  signal s2
        .loc    1 21 13
        add         x15, x9, -1
        div         x15, x15, 64
        li          x17, 64
        tset        tmp_4, tmp_4, 1, x13
        add         x4, x4, 2
        add         x6, x6, 2
        loop        x15, .L2
        .loc    1 22 24
        sub         x15, x9, x17
        min         x15, x15, 64
        tslice      t13, t10, 1, x17, x15
        tset        tmp_3, tmp_3, 1, x15
        dma.load    tmp_3, t13                            wait s2>=x6  signal s0
        .loc    1 22 52
        tslice      t13, b, 0, x17, x15
        tslice      t13, t13, 1, x16, x13
        tset        tmp_4, tmp_4, 0, x15
        dma.load    tmp_4, t13                            signal s0
        .loc    1 22 17
        mma         acc, tmp_3, tmp_4                     wait s0>=x4+2  signal s2
        .loc    1 21 13
        add         x17, x17, 64
        add         x4, x4, 2
        add         x6, x6, 1
.L2:
        .loc    1 23 13
        tslice      t13, t12, 1, x16, x13
        tset        tmp_5, tmp_5, 1, x13
        vpu.sync                                          wait s1>=x5  signal s3
        vmov        tmp_5, acc                            wait s2>=x6  signal s3
        dma.store   t13, tmp_5, q=1                       wait s3>=x7+2  signal s1
        .loc    1 19 9
        add         x16, x16, 64
        add         x7, x7, 2
        add         x5, x5, 1
.L1:
        .loc    1 18 5
        add         x14, x14, 64
.L0:
        .loc    1 14 1
        drain
        halt
        .debug  77, "matmul", 1, 14
        .op     4, "%2 = min %K, %1 : index", [16, 17]
        .op     5, "%3 = tslice %b, %0, %2 {axis = 0} : mem<bf16, [%2, %N]>", [17, 18]
        .op     6, "for %i = %0 to %M step %1", [18, 24, 74, 75]
        .op     7, "%4 = sub %M, %i : index", [24, 25]
        .op     8, "%5 = min %4, %1 : index", [25, 26]
        .op     9, "%6 = tslice %a, %i, %5 {axis = 0} : mem<bf16, [%5, %K]>", [26, 27]
        .op     10, "%7 = tslice %6, %0, %2 {axis = 1} : mem<bf16, [%5, %2]>", [27, 28]
        .op     11, "%8 = tslice %c, %i, %5 {axis = 0} : mem<bf16, [%5, %N]>", [28, 29]
        .op     12, "for %j = %0 to %N step %1", [29, 37, 71, 74]
        .op     13, "%9 = dma.load %7 {q = 0} : tile<bf16, [%5<=64, %2<=64], sram>", [37, 38]
        .op     14, "%10 = sub %N, %j : index", [38, 39]
        .op     15, "%11 = min %10, %1 : index", [39, 40]
        .op     16, "%12 = tslice %3, %j, %11 {axis = 1} : mem<bf16, [%2, %11]>", [40, 41]
        .op     17, "%13 = dma.load %12 {q = 0} : tile<bf16, [%2<=64, %11<=64], sram>", [41, 43]
        .op     18, "%acc = mm %9, %13 : tile<f32, [%5<=64, %11<=64], acc>", [43, 46]
        .op     19, "%acc.2 = for %k = %1 to %K step %1 carry (%acc.1 = %acc : tile<f32, [%5<=64, %11<=64], acc>)", [46, 53, 63, 66]
        .op     20, "%14 = sub %K, %k : index", [53, 54]
        .op     21, "%15 = min %14, %1 : index", [54, 55]
        .op     22, "%16 = tslice %6, %k, %15 {axis = 1} : mem<bf16, [%5, %15]>", [55, 56]
        .op     23, "%17 = dma.load %16 {q = 0} : tile<bf16, [%5<=64, %15<=64], sram>", [56, 58]
        .op     24, "%18 = tslice %b, %k, %15 {axis = 0} : mem<bf16, [%15, %N]>", [58, 59]
        .op     25, "%19 = tslice %18, %j, %11 {axis = 1} : mem<bf16, [%15, %11]>", [59, 60]
        .op     26, "%20 = dma.load %19 {q = 0} : tile<bf16, [%15<=64, %11<=64], sram>", [60, 62]
        .op     27, "%acc.3 = mma %acc.1, %17, %20 : tile<f32, [%5<=64, %11<=64], acc>", [62, 63]
        .op     30, "%21 = tslice %8, %j, %11 {axis = 1} : mem<bf16, [%5, %11]>", [66, 67]
        .op     31, "%22 = vmov %acc.2 : tile<bf16, [%5<=64, %11<=64], sram>", [67, 70]
        .op     32, "dma.store %21, %22 {q = 1}", [70, 71]
        .var    "bm", 0, 64, [9, 77]
        .var    "bn", 0, 64, [9, 77]
        .var    "bk", 0, 64, [9, 77]
        .var    "a", 0, t0, [9, 77]
        .var    "b", 0, t1, [9, 77]
        .var    "c", 0, t2, [9, 77]
        .var    "i", 0, x14, [24, 75]
        .var    "j", 0, x16, [37, 72]
        .var    "acc", 0, t5, [46, 74]
        .var    "k", 0, x17, [53, 64]
        .endkernel

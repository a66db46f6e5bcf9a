        .file   1 "/softmax.py"
        .kernel softmax
        .param  x, in, bf16, [R, C], reg=t0
        .param  y, out, bf16, [R, C], reg=t1
        .bound  C, 256
        .tile   tmp, sram, bf16, [64, 256], at=0x0, reg=t2
        .tile   t, sram, f32, [64, 256], at=0x8000, reg=t3
        .tile   tmp_2, sram, f32, [64, 1], at=0x18000, reg=t4
        .tile   tmp_3, sram, f32, [64, 256], at=0x18100, reg=t5
        .tile   e, sram, f32, [64, 256], at=0x28100, reg=t6
        .tile   tmp_4, sram, f32, [64, 1], at=0x38100, reg=t7
        .tile   tmp_5, sram, bf16, [64, 256], at=0x38200, reg=t8
        .loc    1 14 1
        li          x4, 0
        li          x5, 0
        li          x6, 0
        tget        x7, x, 0
        tget        x8, x, 1
        .loc    1 16 5
        add         x9, x7, 63
        div         x9, x9, 64
        li          x11, 0
        tset        tmp, tmp, 1, x8
        tset        t, t, 1, x8
        tset        tmp_3, tmp_3, 1, x8
        tset        e, e, 1, x8
        tset        tmp_5, tmp_5, 1, x8
        loop        x9, .L0
        .loc    1 17 13
        sub         x8, x7, x11
        min         x8, x8, 64
        tslice      t9, x, 0, x11, x8
        tset        tmp, tmp, 0, x8
        dma.load    tmp, t9                               wait s2>=x6-5  signal s0
        tset        t, t, 0, x8
        vmov        t, tmp                                wait s0>=x4+1  signal s2
        .loc    1 18 21
        tset        tmp_2, tmp_2, 0, x8
        vmax.row    tmp_2, t                              signal s2
        .loc    1 18 17
        tset        tmp_3, tmp_3, 0, x8
        vsub        tmp_3, t, tmp_2                       signal s2
        .loc    1 18 13
        tset        e, e, 0, x8
        vexp        e, tmp_3                              signal s2
        .loc    1 19 31
        tset        tmp_4, tmp_4, 0, x8
        vsum.row    tmp_4, e                              signal s2
        .loc    1 19 27
        tset        tmp_5, tmp_5, 0, x8
        vdiv        tmp_5, e, tmp_4                       wait s1>=x5  signal s2
        .loc    1 19 9
        tslice      t9, y, 0, x11, x8
        dma.store   t9, tmp_5, q=1                        wait s2>=x6+6  signal s1
        .loc    1 16 5
        add         x11, x11, 64
        add         x4, x4, 1
        add         x6, x6, 6
        add         x5, x5, 1
.L0:
        .loc    1 14 1
        drain
        halt
        .debug  48, "softmax", 1, 14
        .op     4, "for %r = %0 to %R step %1", [14, 23, 42, 46]
        .op     5, "%2 = sub %R, %r : index", [23, 24]
        .op     6, "%3 = min %2, %1 : index", [24, 25]
        .op     7, "%4 = tslice %x, %r, %3 {axis = 0} : mem<bf16, [%3, %C]>", [25, 26]
        .op     8, "%5 = dma.load %4 {q = 0} : tile<bf16, [%3<=64, %C<=256], sram>", [26, 28]
        .op     9, "%t = vmov %5 : tile<f32, [%3<=64, %C<=256], sram>", [28, 30]
        .op     10, "%6 = vmax.row %t : tile<f32, [%3<=64, 1], sram>", [30, 32]
        .op     11, "%7 = vsub %t, %6 : tile<f32, [%3<=64, %C<=256], sram>", [32, 34]
        .op     12, "%e = vexp %7 : tile<f32, [%3<=64, %C<=256], sram>", [34, 36]
        .op     13, "%8 = vsum.row %e : tile<f32, [%3<=64, 1], sram>", [36, 38]
        .op     14, "%9 = vdiv %e, %8 : tile<bf16, [%3<=64, %C<=256], sram>", [38, 40]
        .op     15, "%10 = tslice %y, %r, %3 {axis = 0} : mem<bf16, [%3, %C]>", [40, 41]
        .op     16, "dma.store %10, %9 {q = 1}", [41, 42]
        .var    "rows", 0, 64, [9, 48]
        .var    "x", 0, t0, [9, 48]
        .var    "y", 0, t1, [9, 48]
        .var    "r", 0, x11, [23, 43]
        .var    "t", 0, t3, [30, 46]
        .var    "e", 0, t6, [36, 46]
        .endkernel

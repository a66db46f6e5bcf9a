        .kernel k
        .param  x, inout, f32, [64, 64]
        .tile   s, sram, f32, [64, 64], at=0
        .tile   t, sram, f32, [64, 64], at=0x2000
        dma.load   s, x     signal s0
        vexp       t, s     wait s0>=1
        vadd       t, t, s
        dma.store  x, t     wait s1>=1
        vpu.sync   signal s1
        halt

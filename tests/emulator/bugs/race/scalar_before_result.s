# bug: sld takes an element to a register while the VPU is still computing it
# expect: race
# operand: src
# says: the sequencer reads `m`; while VPU still writes it; nothing on the sequencer waits for it
# args: x f32 1 8
        .kernel k
        .param  x, in, f32, [1, 8]
        .tile   a, sram, f32, [1, 8]
        .tile   m, sram, f32, [1, 1]
        .sem    full
        .sem    made
        dma.load   a, x                   signal full
        vmax.row   m, a   wait full>=1    signal made   #?
        sld        x20, m                               #! #-
#+      sld        x20, m  wait made>=1
        halt

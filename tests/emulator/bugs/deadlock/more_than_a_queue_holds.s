# bug: nine instructions are issued behind a wait, and its signal comes after them; deeper queues would hide it
# expect: deadlock
# says: for room in the queue of VPU; (7 more behind it); which the sequencer has not issued yet; queues hold 8 instructions on every chip
        .kernel k
        .tile   a, sram, f32, [4]
        .tile   b, sram, f32, [4]
        .sem    go
#+      dma.fill   b, 0.0   signal go
        vfill      a, 1.0   wait go>=1
        .rept 8
        vneg       a, a
        .endr
        dma.fill   b, 0.0   signal go
        halt

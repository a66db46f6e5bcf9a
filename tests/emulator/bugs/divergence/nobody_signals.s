# On one chip, the collective waits for a signal that never comes.
# chips: 2
# finds: deadlock
# says: chip 0: CCE at pc 0x0030
# says: for chip 1 to come to it
# says: chip 1: CCE at pc 0x0030
# says: for loaded >= 2, which is 1
        .kernel k
        .sem    loaded
        .tile   a, sram, f32, [8]
        chipid  x5
        vfill   a, 1.0                  signal loaded
        cce.allreduce a, a              wait loaded>=x5+1
        halt                            # here

# Two groups of the same chips, taken in another order on one of them: neither is skipped, and none can go on.
# chips: 2
# groups: 1=0,1 2=0,1
# finds: deadlock
# says: chip 0: CCE at pc 0x0040
# says: chip 1: CCE at pc 0x0070
# says: for chip 1 to come to it (1 more behind it)
# says: for chip 0 to come to it (1 more behind it)
        .kernel k
        .tile   a, sram, f32, [8]
        chipid  x5
        beq     x5, 1, other
        nop
        cce.allreduce a, a, group=1
        cce.allreduce a, a, group=2
        halt                            # here
other:  cce.allreduce a, a, group=2
        cce.allreduce a, a, group=1
        halt

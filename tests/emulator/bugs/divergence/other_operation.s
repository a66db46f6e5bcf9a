# Two ways of a branch, each with a collective of its own.
# chips: 2
# finds: collective
# says: chip 1 and chip 0 came to different collectives of group 0
        .kernel k
        .tile   a, sram, f32, [8]
        chipid  x5
        beq     x5, 1, odd
        cce.allreduce a, a              # here
        halt
odd:    cce.allreduce.max a, a
        halt

# One chip has a collective of its own, before the one of all.
# chips: 3
# finds: collective
# says: chips 1, 2 skipped this collective of group 0, to which chip 0 came
        .kernel k
        .tile   a, sram, f32, [8]
        chipid  x5
        bne     x5, 0, all
        cce.allreduce.max a, a          # here
all:    cce.allreduce a, a
        halt

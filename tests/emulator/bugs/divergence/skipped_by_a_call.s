# A function that all chips are to call is called by all but one.
# chips: 3
# finds: collective
# says: chip 2 skipped this collective of group 0, in which chips 0, 1 wait
        .kernel k
        .tile   a, sram, f32, [8]
        chipid  x5
        beq     x5, 2, past
        call    reduce
past:   halt
reduce: cce.allreduce a, a              # here
        ret

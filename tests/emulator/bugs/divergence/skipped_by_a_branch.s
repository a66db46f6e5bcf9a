# A branch that one chip takes and the others do not.
# chips: 3
# finds: collective
# says: chip 1 skipped this collective of group 0, to which chips 0, 2 came
        .kernel k
        .tile   a, sram, f32, [8]
        .tile   b, sram, f32, [8]
        chipid  x5
        beq     x5, 1, past
        cce.allreduce b, a              # here
past:   cce.allreduce.max b, b
        halt

# The chip that left out a collective waits for the signal that it would have sent.
# chips: 2
# finds: collective
# says: chip 0 skipped this collective of group 0, in which chip 1 waits
# says: chip 0: sequencer at pc
        .kernel k
        .sem    summed
        .tile   a, sram, f32, [8]
        chipid  x5
        beq     x5, 0, past
        cce.allreduce a, a              signal summed   # here
past:   sync                            wait summed>=1
        halt

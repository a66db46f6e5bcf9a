# An early way out on the last chip, which has nothing to do.
# chips: 4
# finds: collective
# says: chip 3 skipped this collective of group 0, in which chips 0, 1, 2 wait
# says: chip 3 has halted
        .kernel k
        .tile   a, sram, f32, [8]
        chipid  x5
        bne     x5, 3, work
        halt
work:   vfill   a, 1.0                  signal s1
        cce.allreduce a, a              wait s1>=1      # here
        halt

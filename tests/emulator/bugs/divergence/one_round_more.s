# The number of rounds depends on the chip.
# chips: 4
# finds: collective
# says: chips 0, 1, 3 skipped this collective of group 0, in which chip 2 waits
        .kernel k
        .tile   a, sram, f32, [8]
        chipid  x5
        seq     x6, x5, 2
        add     x6, x6, 3
        loop    x6, 9f
          cce.allreduce a, a            # here
        9:
        halt

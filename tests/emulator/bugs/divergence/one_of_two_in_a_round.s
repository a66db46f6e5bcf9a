# In one round of a loop, one chip leaves out the first of two collectives.
# chips: 3
# finds: collective
# says: chip 1 skipped this collective of group 0, to which chips 0, 2 came
        .kernel k
        .tile   a, sram, f32, [8]
        chipid  x5
        li      x6, 0
        loop    4, 9f
          add     x6, x6, 1
          sub     x7, x6, 3
          bne     x7, 0, both           # only in the third round
          beq     x5, 1, second
both:     cce.allreduce a, a            # here
second:   cce.allreduce.max a, a
          nop
        9:
        halt

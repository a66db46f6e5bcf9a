# The last chip has the tail of the rows, and sends it as it is.
# chips: 3
# finds: collective
# says: dst is f32[3, 8] on chip 2 and f32[4, 8] on chips 0, 1, in one collective of group 0
        .kernel k
        .tile   a, sram, f32, [x20<=4, 8]
        chipid  x5
        li      x20, 4
        bne     x5, 2, go
        li      x20, 3
go:     cce.allreduce a, a              # here
        halt

# One chip has its weights in another format.
# chips: 2
# finds: collective
# says: src is bf16[8] on chip 1 and f32[8] on chip 0, in one collective of group 0
        .kernel k
        .tile   a, sram, f32, [8]
        .tile   b, sram, f32, [8]
        .tile   narrow, sram, bf16, [8]
        chipid  x5
        bne     x5, 1, go
        tmv     b, narrow
go:     cce.allreduce a, b              # here
        halt

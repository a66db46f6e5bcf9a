# Every chip takes itself for the root.
# chips: 3
# finds: collective
# says: root is 1 on chip 1 and 0 on chip 0, in one collective of group 0
# says: root is 2 on chip 2 and 0 on chip 0, in one collective of group 0
        .kernel k
        .tile   a, sram, f32, [8]
        .tile   b, sram, f32, [8]
        chipid  x5
        cce.broadcast b, a, x5          # here
        halt

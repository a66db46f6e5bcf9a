# bug: a block that fits another chip's SRAM and not this one's
# expect: out-of-bounds
# operand: dst
# says: sram ends at 0x100000
        .kernel k
        .tile   a, sram, f32, [512, 512], at=0x10000   #-
#+      .tile   a, sram, f32, [256, 256], at=0x10000
        vfill      a, 0.0         #! #-
#+      vfill      a, 0.0
        halt

# bug: an instruction waits for the signal that it sends itself
# expect: deadlock
# says: only after its own wait; a circle: VPU waits for VPU
        .kernel k
        .tile   a, sram, f32, [4]
        .sem    made
        vfill      a, 1.0   wait made>=1  signal made   #-
#+      vfill      a, 1.0                 signal made
        drain               #! #-
        halt

# bug: only one of two ways signals
# expect: deadlock
# says: for ready >= 1, which is 0; is never reached
# args: fast 1
        .kernel k
        .param  fast, i64
        .tile   a, sram, f32, [4]
        .sem    ready
        beq        fast, 0, 1f
        vfill      a, 2.0                 #-
#+      vfill      a, 2.0  signal ready
        j          2f
1:      vfill      a, 1.0  signal ready
2:      sync       wait ready>=1   #! #-
#+2:    sync       wait ready>=1
        halt

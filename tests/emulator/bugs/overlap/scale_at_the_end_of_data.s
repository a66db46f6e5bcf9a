# bug: the scales were placed by the size of i8 data, and the data is bf16 now
# expect: overlap
# says: `data`; overwritten through `scale`
        .kernel k
        .tile   data, sram, bf16, [4, 16], at=0
        .tile   scale, sram, f32, [32], at=64   #-
#+      .tile   scale, sram, f32, [32], at=128
        .tile   out, sram, f32, [4, 16], at=1024
        vfill      data, 1.0   #? #-
        vfill      scale, 2.0  #? #-
        vneg       out, data   #! #-
#+      vfill      data, 1.0
#+      vfill      scale, 2.0
#+      vneg       out, data
        halt

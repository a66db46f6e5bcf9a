# bug: the whole tile is stored into the cache although one of its rows was never computed
# expect: uninitialized
# operand: -
# says: the kernel ends, and; bytes of `cache`; hold nothing any more
# args: cache f32 4 4
        .kernel k
        .param  cache, inout, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        tslice     t20, a, 0, 0, 3   #-
#+      tmv        t20, a
        vfill      t20, 2.0
        drain
        dma.store  cache, a          #? #-
#+      dma.store  cache, a
        halt                         #! #-
#+      halt

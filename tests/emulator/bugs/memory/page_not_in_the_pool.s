# bug: an entry of the page table that was never set to a page
# expect: out-of-bounds
# operand: pages
# says: pages[1] = 77 is outside a pool of 4 pages
# args: pool f32 4 2 4; y f32 4 4
        .kernel k
        .param  pool, in, f32, [4, 2, 4]
        .param  y, out, f32, [4, 4]
        .tile   pages, sram, i32, [2]
        .tile   a, sram, f32, [4, 4]
        vfill      pages, 1.0
        tslice     t20, pages, 0, 1, 1
        vfill      t20, 77.0     #-
        drain
        dma.gather.pages a, pool, pages, x0   #! #-
#+      dma.gather.pages a, pool, pages, x0
        drain
        dma.store  y, a
        halt

# bug: the sequencer blocks on a load that it issues two lines further down
# expect: deadlock
# says: sequencer at pc; which the sequencer has not issued yet; a circle: sequencer waits for sequencer
# args: x f32 1
        .kernel k
        .param  x, in, f32, [1]
        .tile   a, sram, f32, [1]
        .sem    full
#+      dma.load   a, x     signal full
        sld        x20, a   wait full>=1   #! #-
        dma.load   a, x     signal full    #-
#+      sld        x20, a   wait full>=1
        halt

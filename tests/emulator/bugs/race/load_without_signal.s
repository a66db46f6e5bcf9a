# bug: the load tells nobody that it is done
# expect: race
# operand: a
# says: the dma.load signals nothing, so nothing can wait for it
# args: x f32 4 4
        .kernel k
        .param  x, in, f32, [4, 4]
        .param  y, out, f32, [4, 4]
        .tile   a, sram, f32, [4, 4]
        .sem    loaded
        .sem    done
        dma.load   a, x                      #? #-
        vadds      a, a, 1.0   signal done   #! #-
#+      dma.load   a, x        signal loaded
#+      vadds      a, a, 1.0   wait loaded>=1  signal done
        dma.store  y, a  wait done>=1
        halt

        .kernel k
        j          end
        nop                             # nothing jumps here
        nop
end:    halt

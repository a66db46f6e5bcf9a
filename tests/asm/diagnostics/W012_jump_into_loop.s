        .kernel k
        li         x5, 3
        beq        x5, 3, inside
        loop       8, end
        nop
inside: nop
end:    halt

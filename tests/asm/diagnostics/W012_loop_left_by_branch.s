        .kernel k
        li         x5, 0
        loop       8, end
        add        x5, x5, 1
        beq        x5, 3, out
        nop
end:    nop
out:    halt

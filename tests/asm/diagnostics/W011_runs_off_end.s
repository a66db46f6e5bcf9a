        .kernel first
        li         x5, 3
1:      sub        x5, x5, 1
        bne        x5, 0, 1b            # and then?
        .kernel second
        halt

# A token goes from chip to chip, and one of them does not pass it on.
# chips: 4
# finds: deadlock
# says: chip 0: sequencer at pc
# says: chip 3: sequencer at pc
# says: chip 1 has halted
        .kernel k
        .sem    token
        chipid  x5
        chips   x6
        add     x7, x5, 1
        rem     x7, x7, x6
        beq     x5, 0, send
        sync                            wait token>=1
        beq     x5, 2, lost
send:   cce.signal x7                   signal token
        bne     x5, 0, lost
        sync                            wait token>=1   # here
lost:   halt

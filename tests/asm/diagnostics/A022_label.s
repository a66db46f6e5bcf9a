x5: nop

        li      x5, bytes(fp32)

.globl .L1
.L1: halt

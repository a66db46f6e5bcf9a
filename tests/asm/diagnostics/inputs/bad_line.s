nop
vmuul t0, t1, t2

vmov t0, t1 signal s0+=256

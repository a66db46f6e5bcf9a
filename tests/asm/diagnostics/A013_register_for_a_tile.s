vadd t0, t1, x5

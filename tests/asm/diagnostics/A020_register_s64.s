vmov t0, t1 wait s64>=1

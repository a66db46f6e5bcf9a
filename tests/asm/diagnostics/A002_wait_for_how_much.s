vmov t0, t1 wait s1

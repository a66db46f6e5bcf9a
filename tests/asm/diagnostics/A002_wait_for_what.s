vmov t0, t1 wait

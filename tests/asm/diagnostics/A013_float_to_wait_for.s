vmov t0, t1 wait s0>=1.5

vadds t0, t1, 16777217

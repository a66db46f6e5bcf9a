        vadd    \d, t1, t2

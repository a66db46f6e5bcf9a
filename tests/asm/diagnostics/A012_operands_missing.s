vadd t0

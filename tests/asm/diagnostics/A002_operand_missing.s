vadd t0,

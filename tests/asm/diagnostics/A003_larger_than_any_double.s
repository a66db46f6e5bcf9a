lf x1, 1e999

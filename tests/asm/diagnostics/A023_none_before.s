j 1b

1: j 1f

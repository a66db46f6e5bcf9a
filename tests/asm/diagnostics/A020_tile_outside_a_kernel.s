vmov acc, t1

li x1, "a"

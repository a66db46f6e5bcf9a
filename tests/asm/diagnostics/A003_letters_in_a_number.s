li x1, 12ab

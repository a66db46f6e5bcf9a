dma.load t0, t1, q=4

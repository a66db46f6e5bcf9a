dma.load t0, t1, q=1, q=2

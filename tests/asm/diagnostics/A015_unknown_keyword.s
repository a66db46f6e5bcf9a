dma.load t0, t1, k=1

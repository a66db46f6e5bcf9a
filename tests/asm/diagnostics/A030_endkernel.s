.endkernel

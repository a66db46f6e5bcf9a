"""The kernel library. Every module holds kernels, each beside its plain NumPy reference."""

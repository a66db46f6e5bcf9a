"""The Model Toolkit: real transformers out of kernels."""

"""Common parts of the compiled kernels: neighbours, matrix products, compiled code on disk."""

"""What the compiled kernels of all models share: loops, packed products, code kept on disk."""

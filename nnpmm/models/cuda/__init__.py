"""What backends for a GPU share: whether there is one, its memory, and CUDA graphs."""

"""AIMNet2 on the CPU: numba loops, generated vector code and products of packed matrices."""

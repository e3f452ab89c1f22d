"""ANI on the CPU: numba loops and products of packed matrices."""

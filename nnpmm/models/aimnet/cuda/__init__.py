"""AIMNet2 on a GPU: torch's operations on dense pairs of atoms, in one CUDA graph.

Shapes are fixed: all pairs of a region are there at every step, those beyond the cutoff with basis
functions of zero, so no list of neighbours can overflow or go stale. All members are one batched
product for each layer, and geometries of a batch one more axis. Gradients are written by hand, so
that nothing is recorded and the whole evaluation can be captured once and replayed. On a CPU, for
checks only, the same operations run without a graph.

Axes: k geometries, n, i and j atoms, m members, g radial functions, f features with the charge as
the last one, h combinations of radial functions, c a scalar and the parts of a vector.
"""

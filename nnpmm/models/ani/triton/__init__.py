"""ANI on a GPU: fused Triton kernels, forward and hand-written backward, in one CUDA graph.

An evaluation is six launches. `symmetry.environment_forward`: one program for each atom finds its
neighbours and sums the AEV. `networks.first_forward`, `networks.hidden_layers` and
`networks.first_backward`: the networks of all members, forward and backward, in tiles of atoms of
one element. `symmetry.environment_backward`: one program for each atom. `reduction.gather_results`:
forces and energies. Regions beyond a few thousand atoms are searched through cells, for which a few
sorting launches come before.

Why so: a ligand's networks are 0.4 GFLOP, a few microseconds of a large GPU if they fill it. Tiles
of 16 atoms for each member do so for the wide first layers, forward and backward, once their
columns are split too; the narrower layers above are one launch, since four more would cost as much
as an ideal split saves. No activation is read by another program within a launch, no sum depends on
the order of programs, and there are no atomic operations: equal input gives equal bits.

Only `missing` is imported here, so that asking for it needs no triton.
"""

from nnpmm.models.ani.triton.availability import interpreted, missing

__all__ = ["interpreted", "missing"]

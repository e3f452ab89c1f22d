"""ANI on a GPU: fused Triton kernels, forward and hand-written backward, in one CUDA graph.

An evaluation is six launches. `symmetry.environment_forward`: one program for each atom finds its
neighbours and computes its AEV. `networks.first_forward`, `networks.hidden_layers` and
`networks.first_backward`: the networks of all members, forward and backward, in tiles of atoms of
one element. `symmetry.environment_backward`: one program for each atom. `reduction.gather_results`:
forces and energies. In regions of more than a few thousand atoms, neighbours are found through cell
lists, which need a few more launches to sort the atoms.

The networks of a ligand need 0.4 GFLOP: a few microseconds on a large GPU if all its
multiprocessors are busy. For the wide first layers, tiles of 16 atoms per member and blocks of
columns achieve this, forward and backward. The narrower layers above share one launch, because four
more launches would cost as much as an ideal split saves.

Results are deterministic. No program reads activations that another program of the same launch
writes, no sum depends on the order of programs, and there are no atomic operations.

Only `availability` is imported here, so that `missing` can be called without triton.
"""

from nnpmm.models.ani.triton.availability import interpreted, missing

__all__ = ["interpreted", "missing"]

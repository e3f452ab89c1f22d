"""The last kernel: gather the forces, sum the energies, find the largest neighbour counts."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["gather_results"]


@triton.jit
def _gather_force(
    atoms, index, counts, angular_gradients, centre_gradients, forces, row, scale, M: tl.constexpr
):
    """Sum the gradient on one atom: its own part and those that its angular neighbours stored.

    The neighbours' lists are searched for this atom, so that the order of the sum is fixed.
    """
    allowed: tl.constexpr = M.angular_bound
    count = tl.load(counts + 2 * row + 1)
    slots = tl.arange(0, allowed)
    near = slots < count
    own_list = index + row * M.list_length + M.radial_bound
    others = tl.load(own_list + slots, mask=near, other=0).to(tl.int64)
    other_counts = tl.minimum(tl.load(counts + 2 * others + 1, mask=near, other=0), allowed)
    pointers = (index + others * M.list_length + M.radial_bound)[:, None] + slots[None, :]
    listed = tl.load(pointers, mask=slots[None, :] < other_counts[:, None], other=-1)
    matches = (listed == row).to(tl.int32)
    found = tl.sum(matches, 1) > 0
    stored = angular_gradients + others * (3 * allowed) + tl.sum(matches * slots[None, :], 1)
    overflowed = (count > allowed) | (tl.load(counts + 2 * row) > M.radial_bound)
    atom = tl.load(atoms + row)
    for axis in tl.static_range(3):
        contributions = tl.load(stored + axis * allowed, mask=found, other=0.0).to(tl.float64)
        total = tl.load(centre_gradients + 3 * row + axis).to(tl.float64) + tl.sum(contributions, 0)
        tl.store(forces + 3 * atom + axis, tl.where(overflowed, float("nan"), scale * total))


@triton.jit
def _sum_energies(rows, counts, energies, results, geometry, n_atoms, unit, M: tl.constexpr):
    """Sum the energies of one geometry's atoms, and find the largest neighbour counts."""
    members = tl.arange(0, M.members_padded)
    member_mask = members < M.members
    total = tl.zeros((M.members_padded,), tl.float64)
    n_radial = tl.full((), 0, tl.int32)
    n_angular = tl.full((), 0, tl.int32)
    for start in range(0, n_atoms, M.search):
        offsets = start + tl.arange(0, M.search)
        mask = offsets < n_atoms
        row = tl.load(rows + geometry * n_atoms + offsets, mask=mask, other=0).to(tl.int64)
        pointers = (energies + row * M.members)[:, None] + members[None, :]
        both = mask[:, None] & member_mask[None, :]
        total += tl.sum(tl.load(pointers, mask=both, other=0.0), 0)
        radial_counts = tl.load(counts + 2 * row, mask=mask, other=0)
        n_radial = tl.maximum(n_radial, tl.max(radial_counts, 0))
        angular_counts = tl.load(counts + 2 * row + 1, mask=mask, other=0)
        n_angular = tl.maximum(n_angular, tl.max(angular_counts, 0))
    overflowed = (n_radial > M.radial_bound) | (n_angular > M.angular_bound)
    results += geometry * (M.members + 3)
    total = tl.where(overflowed, float("nan"), unit * total)
    tl.store(results, tl.sum(total, 0) / M.members)
    tl.store(results + 1, n_radial.to(tl.float64))
    tl.store(results + 2, n_angular.to(tl.float64))
    tl.store(results + 3 + members, total, mask=member_mask)


@triton.jit
def gather_results(
    atoms, rows, index, counts, angular_gradients, centre_gradients, energies, units, forces,
    results, n_rows, n_atoms, M: tl.constexpr,
):  # fmt: skip
    """Write the forces and the results, with one program for each row and one for each geometry.

    If a list overflowed, energies and forces are NaN, so that they cannot be mistaken for results.

    Args:
        atoms, rows: see `layout.AtomTables`.
        index, counts, angular_gradients, centre_gradients: as in `symmetry.environment_backward`.
        energies: of each atom and member, (n, m), hartree.
        units: kJ/mol per hartree; factor from a summed gradient in hartree/angstrom to a force.
        forces: in the caller's order, (n, 3), kJ/mol/nm.
        results: for each geometry, mean energy, largest counts of radial and of angular neighbours,
            and member energies, (k, 3 + m), kJ/mol.
        n_rows: n.
        n_atoms: atoms of one geometry.
        M: `constants.Constants`.
    """
    program = tl.program_id(0).to(tl.int64)
    if program < n_rows:
        force_unit = tl.load(units + 1)
        _gather_force(
            atoms, index, counts, angular_gradients, centre_gradients, forces, program, force_unit,
            M,
        )  # fmt: skip
    else:
        unit = tl.load(units)
        _sum_energies(rows, counts, energies, results, program - n_rows, n_atoms, unit, M)

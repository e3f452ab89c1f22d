"""The last kernel: forces are gathered, energies and counts of neighbours added up."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["gather_results"]


@triton.jit
def _gather_force(atoms, index, counts, pulls, on_centres, forces, row, scale, M: tl.constexpr):
    """Add up what acts on one atom: its own part and what angular neighbours left for it.

    A neighbour's list is searched for this atom, so that the order of the sum is fixed.
    """
    allowed: tl.constexpr = M.angular_bound
    count = tl.load(counts + 2 * row + 1)
    slots = tl.arange(0, allowed)
    near = slots < count
    own_list = index + row * M.list_length + M.radial_bound
    others = tl.load(own_list + slots, mask=near, other=0).to(tl.int64)
    theirs = tl.minimum(tl.load(counts + 2 * others + 1, mask=near, other=0), allowed)
    places = (index + others * M.list_length + M.radial_bound)[:, None] + slots[None, :]
    listed = tl.load(places, mask=slots[None, :] < theirs[:, None], other=-1)
    matches = (listed == row).to(tl.int32)
    found = tl.sum(matches, 1) > 0
    pull = pulls + others * (3 * allowed) + tl.sum(matches * slots[None, :], 1)
    crowded = (count > allowed) | (tl.load(counts + 2 * row) > M.radial_bound)
    atom = tl.load(atoms + row)
    for axis in tl.static_range(3):
        theirs_on_me = tl.load(pull + axis * allowed, mask=found, other=0.0).to(tl.float64)
        total = tl.load(on_centres + 3 * row + axis).to(tl.float64) + tl.sum(theirs_on_me, 0)
        tl.store(forces + 3 * atom + axis, tl.where(crowded, float("nan"), scale * total))


@triton.jit
def _sum_energies(rows, counts, energies, results, geometry, n_atoms, unit, M: tl.constexpr):
    """Add up the energies of one geometry's atoms, and find the longest lists of neighbours."""
    members = tl.arange(0, M.members_padded)
    known = members < M.members
    total = tl.zeros((M.members_padded,), tl.float64)
    n_radial = tl.full((), 0, tl.int32)
    n_angular = tl.full((), 0, tl.int32)
    for start in range(0, n_atoms, M.search):
        offsets = start + tl.arange(0, M.search)
        mask = offsets < n_atoms
        row = tl.load(rows + geometry * n_atoms + offsets, mask=mask, other=0).to(tl.int64)
        places = (energies + row * M.members)[:, None] + members[None, :]
        total += tl.sum(tl.load(places, mask=mask[:, None] & known[None, :], other=0.0), 0)
        n_radial = tl.maximum(n_radial, tl.max(tl.load(counts + 2 * row, mask=mask, other=0), 0))
        most = tl.max(tl.load(counts + 2 * row + 1, mask=mask, other=0), 0)
        n_angular = tl.maximum(n_angular, most)
    crowded = (n_radial > M.radial_bound) | (n_angular > M.angular_bound)
    results += geometry * (M.members + 3)
    total = tl.where(crowded, float("nan"), unit * total)
    tl.store(results, tl.sum(total, 0) / M.members)
    tl.store(results + 1, n_radial.to(tl.float64))
    tl.store(results + 2, n_angular.to(tl.float64))
    tl.store(results + 3 + members, total, mask=known)


@triton.jit
def gather_results(
    atoms, rows, index, counts, pulls, on_centres, energies, units, forces, results, n_rows,
    n_atoms, M: tl.constexpr,
):  # fmt: skip
    """One program for each row, then one for each geometry.

    Where a list overflowed, energies and forces are NaN, so that no caller takes them for good.

    Args:
        atoms, rows: of `layout.AtomTables`.
        index, counts, pulls, on_centres: as in `symmetry.environment_backward`.
        energies: of each atom and member, (n, m), hartree.
        units: kJ/mol in a hartree; factor from a summed gradient in hartree/angstrom to a force.
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
        _gather_force(atoms, index, counts, pulls, on_centres, forces, program, force_unit, M)
    else:
        unit = tl.load(units)
        _sum_energies(rows, counts, energies, results, program - n_rows, n_atoms, unit, M)

"""Features of one molecule: distances, torsions and contacts, the input of a learned variable."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from openmm import app
from pydantic import Field

from nnpmm.core.section import Section
from nnpmm.sampling.variables.variable import Structure, VariableError

__all__ = ["FeatureSet", "choose_features"]

_MIN_BONDS = 4  # between two atoms whose distance is a feature: no bond, angle or torsion fixes it
_MAX_DISTANCES = 200


class FeatureSet(Section):
    """Features of positions, defined by 0-based indices of the system's atoms.

    Their order is: distances (nm), sin and cos of each torsion, contacts 1 / (1 + (r/r0)^6).
    """

    distances: tuple[tuple[int, int], ...] = ()
    torsions: tuple[tuple[int, int, int, int], ...] = ()
    contacts: tuple[tuple[int, int], ...] = ()
    contact_distance: float = Field(0.45, gt=0, description="r0, nm")

    @property
    def atoms(self) -> tuple[int, ...]:
        """The atoms of all features, sorted."""
        return tuple(sorted(set(itertools.chain(*self.distances, *self.torsions, *self.contacts))))

    @property
    def count(self) -> int:
        """Number of features."""
        return len(self.distances) + 2 * len(self.torsions) + len(self.contacts)

    def names(self, structure: Structure) -> list[str]:
        """Return a description of each feature, in the order of `evaluate`."""

        def label(atoms: Iterable[int]) -> str:
            return ", ".join(structure.label(atom) for atom in atoms)

        names = [f"distance {label(pair)}" for pair in self.distances]
        for torsion in self.torsions:
            names += [f"sin {label(torsion)}", f"cos {label(torsion)}"]
        return names + [f"contact {label(pair)}" for pair in self.contacts]

    def evaluate(self, positions: torch.Tensor) -> torch.Tensor:
        """Return the features (..., f).

        Args:
            positions: (..., n, 3) nm of `atoms` in their order, the molecule whole.
        """
        distances, torsions, contacts = _rows(self)
        parts = []
        if self.distances:
            parts.append(_distances(positions, distances))
        if self.torsions:
            parts.append(_torsions(positions, torsions))
        if self.contacts:
            lengths = _distances(positions, contacts)
            parts.append(1 / (1 + (lengths / self.contact_distance) ** 6))
        return torch.cat(parts, dim=-1)


@functools.lru_cache(maxsize=32)
def _rows(features: FeatureSet) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return indices into `atoms` for distances (2, m), torsions (4, m) and contacts (2, m)."""
    rows = {atom: row for row, atom in enumerate(features.atoms)}

    def tensor(groups: Iterable[Iterable[int]], size: int) -> torch.Tensor:
        indices = [[rows[atom] for atom in group] for group in groups]
        return torch.tensor(indices, dtype=torch.int64).reshape(-1, size).T.contiguous()

    return (
        tensor(features.distances, 2),
        tensor(features.torsions, 4),
        tensor(features.contacts, 2),
    )


def _distances(positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    first, second = rows
    return torch.linalg.vector_norm(positions[..., first, :] - positions[..., second, :], dim=-1)


def _torsions(positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return sin and cos of each torsion in turn, without the angle, which jumps by 2 pi."""
    a, b, c, d = (positions[..., index, :] for index in rows)
    first = torch.linalg.cross(b - a, c - b, dim=-1)
    second = torch.linalg.cross(c - b, d - c, dim=-1)
    axis = torch.linalg.vector_norm(c - b, dim=-1)
    y = axis * ((b - a) * second).sum(dim=-1)
    x = (first * second).sum(dim=-1)
    radius = torch.sqrt(x**2 + y**2)
    return torch.stack([y / radius, x / radius], dim=-1).flatten(start_dim=-2)


def choose_features(structure: Structure, atoms: NDArray[np.int64]) -> FeatureSet:
    """Choose features of a molecule: one torsion about each bond, and distances of heavy atoms.

    Each bond between two atoms with further neighbours has one torsion, through the heaviest of
    these neighbours. Rotations of three hydrogens (methyl, ammonium) are left out, because they
    repeat every third of a turn. Distances are those of heavy atoms four or more bonds apart.

    Args:
        structure: structure of the system.
        atoms: 0-based indices of the molecule, or of a part of it.

    Raises:
        VariableError: atoms of several molecules, or atoms without torsions and distances.
    """
    structure.require_one_molecule(atoms, "features")
    chosen = set(atoms.tolist())
    numbers = [0 if a.element is None else a.element.atomic_number for a in
               structure.topology.atoms()]  # fmt: skip
    bonded = _neighbours(structure.topology, chosen)
    torsions = _choose_torsions(bonded, numbers)
    distances = _choose_distances(bonded, numbers)
    if not torsions and not distances:
        raise VariableError(
            f"features: found {len(atoms)} atoms without a torsion; name features yourself"
        )
    return FeatureSet(distances=tuple(distances), torsions=tuple(torsions))


def _choose_torsions(
    bonded: dict[int, list[int]], numbers: list[int]
) -> list[tuple[int, int, int, int]]:
    """Return a torsion through the heaviest neighbours of each bond that has one at both ends."""
    torsions = []
    for j, k in sorted((a, b) for a in bonded for b in bonded[a] if a < b):
        i, m = _heaviest(bonded[j], k, numbers), _heaviest(bonded[k], j, numbers)
        if i is not None and m is not None and i != m:
            torsions.append((i, j, k, m))
    return torsions


def _heaviest(neighbours: list[int], excluded: int, numbers: list[int]) -> int | None:
    """Return the heaviest neighbour except one atom, or None if there is no other.

    Three hydrogens count as none.
    """
    others = [atom for atom in neighbours if atom != excluded]
    if [numbers[atom] for atom in others] == [1, 1, 1]:
        return None
    return max(others, key=lambda atom: (numbers[atom], -atom), default=None)


def _choose_distances(bonded: dict[int, list[int]], numbers: list[int]) -> list[tuple[int, int]]:
    """Return pairs of heavy atoms that are far enough apart along bonds, evenly thinned out."""
    distances = [
        (first, second)
        for first in sorted(bonded)
        if numbers[first] > 1
        for second, n_bonds in _bonds_apart(bonded, first).items()
        if second > first and numbers[second] > 1 and n_bonds >= _MIN_BONDS
    ]
    if len(distances) > _MAX_DISTANCES:
        stride = len(distances) / _MAX_DISTANCES
        distances = [distances[int(n * stride)] for n in range(_MAX_DISTANCES)]
    return distances


def _neighbours(topology: app.Topology, chosen: set[int]) -> dict[int, list[int]]:
    """Return the bonded atoms of each chosen atom, among the chosen atoms."""
    bonded: dict[int, list[int]] = {atom: [] for atom in sorted(chosen)}
    for a, b in topology.bonds():
        if a.index in chosen and b.index in chosen:
            bonded[a.index].append(b.index)
            bonded[b.index].append(a.index)
    return bonded


def _bonds_apart(bonded: dict[int, list[int]], start: int) -> dict[int, int]:
    """Return the number of bonds on the shortest path from one atom to each other atom."""
    counts, queue = {start: 0}, deque([start])
    while queue:
        atom = queue.popleft()
        for other in bonded[atom]:
            if other not in counts:
                counts[other] = counts[atom] + 1
                queue.append(other)
    return counts

"""What a learned variable is a function of: distances, torsions and contacts of one molecule."""

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

_APART = 4  # bonds between two atoms, from which on their distance is a feature
_MOST_DISTANCES = 200


class FeatureSet(Section):
    """Features of positions, by 0-based indices of the system's atoms.

    Their order is: distances (nm), sin and cos of each torsion, contacts 1 / (1 + (r/r0)^6).
    """

    distances: tuple[tuple[int, int], ...] = ()
    torsions: tuple[tuple[int, int, int, int], ...] = ()
    contacts: tuple[tuple[int, int], ...] = ()
    contact_distance: float = Field(0.45, gt=0, description="r0, nm")

    @property
    def atoms(self) -> tuple[int, ...]:
        """All atoms that take part, sorted."""
        return tuple(sorted(set(itertools.chain(*self.distances, *self.torsions, *self.contacts))))

    @property
    def count(self) -> int:
        """Number of features."""
        return len(self.distances) + 2 * len(self.torsions) + len(self.contacts)

    def names(self, structure: Structure) -> list[str]:
        """Return what each feature is, in the order of `evaluate`."""

        def label(atoms: Iterable[int]) -> str:
            return ", ".join(structure.label(atom) for atom in atoms)

        found = [f"distance {label(pair)}" for pair in self.distances]
        for torsion in self.torsions:
            found += [f"sin {label(torsion)}", f"cos {label(torsion)}"]
        return found + [f"contact {label(pair)}" for pair in self.contacts]

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
            apart = _distances(positions, contacts)
            parts.append(1 / (1 + (apart / self.contact_distance) ** 6))
        return torch.cat(parts, dim=-1)


@functools.lru_cache(maxsize=32)
def _rows(features: FeatureSet) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the rows of `atoms` of distances (2, m), torsions (4, m) and contacts (2, m)."""
    rows = {atom: row for row, atom in enumerate(features.atoms)}

    def tensor(groups: Iterable[Iterable[int]], size: int) -> torch.Tensor:
        found = [[rows[atom] for atom in group] for group in groups]
        return torch.tensor(found, dtype=torch.int64).reshape(-1, size).T.contiguous()

    return (
        tensor(features.distances, 2),
        tensor(features.torsions, 4),
        tensor(features.contacts, 2),
    )


def _distances(positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    first, second = rows
    return torch.linalg.vector_norm(positions[..., first, :] - positions[..., second, :], dim=-1)


def _torsions(positions: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return sin and cos of each torsion in turn, without the angle, whose derivative jumps."""
    a, b, c, d = (positions[..., index, :] for index in rows)
    first = torch.linalg.cross(b - a, c - b, dim=-1)
    second = torch.linalg.cross(c - b, d - c, dim=-1)
    axis = torch.linalg.vector_norm(c - b, dim=-1)
    y = axis * ((b - a) * second).sum(dim=-1)
    x = (first * second).sum(dim=-1)
    radius = torch.sqrt(x**2 + y**2)
    return torch.stack([y / radius, x / radius], dim=-1).flatten(start_dim=-2)


def choose_features(structure: Structure, atoms: NDArray[np.int64]) -> FeatureSet:
    """Choose features of a molecule: one torsion about each bond, and distances across it.

    A torsion is about a bond of two heavy atoms that have further neighbours; it goes through the
    heaviest of these. Rotations of three like hydrogens (methyl, ammonium) are left out: they look
    the same every third of a turn. Distances are those of heavy atoms four or more bonds apart.

    Args:
        structure: of the system.
        atoms: 0-based indices of the molecule, or of the part of it that counts.

    Raises:
        VariableError: atoms of several molecules, or none that features could be made of.
    """
    structure.require_one_molecule(atoms, "features")
    chosen = set(atoms.tolist())
    elements = [0 if a.element is None else a.element.atomic_number for a in
                structure.topology.atoms()]  # fmt: skip
    bonded = _neighbours(structure.topology, chosen)
    torsions = []
    for j, k in sorted((a, b) for a in bonded for b in bonded[a] if a < b):
        ends = []
        for middle, other in ((j, k), (k, j)):
            around = [atom for atom in bonded[middle] if atom != other]
            if [elements[atom] for atom in around] == [1, 1, 1]:
                around = []
            ends.append(max(around, key=lambda atom: (elements[atom], -atom), default=None))
        i, m = ends
        if i is not None and m is not None and i != m:
            torsions.append((i, j, k, m))
    heavy = sorted(atom for atom in chosen if elements[atom] > 1)
    distances = [
        (first, second)
        for first in heavy
        for second, apart in _bonds_apart(bonded, first).items()
        if second > first and elements[second] > 1 and apart >= _APART
    ]
    if len(distances) > _MOST_DISTANCES:
        every = len(distances) / _MOST_DISTANCES
        distances = [distances[int(n * every)] for n in range(_MOST_DISTANCES)]
    if not torsions and not distances:
        raise VariableError(
            f"features: found {len(atoms)} atoms without a torsion; name features yourself"
        )
    return FeatureSet(distances=tuple(distances), torsions=tuple(torsions))


def _neighbours(topology: app.Topology, chosen: set[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {atom: [] for atom in sorted(chosen)}
    for a, b in topology.bonds():
        if a.index in chosen and b.index in chosen:
            found[a.index].append(b.index)
            found[b.index].append(a.index)
    return found


def _bonds_apart(bonded: dict[int, list[int]], start: int) -> dict[int, int]:
    """Return how many bonds each atom is away from one of them."""
    found, queue = {start: 0}, deque([start])
    while queue:
        atom = queue.popleft()
        for other in bonded[atom]:
            if other not in found:
                found[other] = found[atom] + 1
                queue.append(other)
    return found

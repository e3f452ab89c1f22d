"""A Martini system: molecules in their order, flattened into arrays for engines and analysis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nnpmm.permeation.martini.force_field import Bead, MoleculeType, Role
from nnpmm.permeation.martini.tables import BEAD_MASS

__all__ = ["Configuration", "MartiniSystem"]


@dataclass(frozen=True)
class Configuration:
    """Coordinates of a system in a rectangular box.

    Attributes:
        positions: (n, 3), nm.
        box: (3,) edges, nm.
        velocities: (n, 3), nm/ps, or None where they are yet to be drawn.
    """

    positions: NDArray[np.float64]
    box: NDArray[np.float64]
    velocities: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class MartiniSystem:
    """Molecules in the order of their beads: pairs of a kind and a number of consecutive ones."""

    molecules: tuple[tuple[MoleculeType, int], ...]

    def _each(self) -> Iterator[tuple[MoleculeType, int]]:
        """Yield every molecule with the index of its first bead."""
        start = 0
        for kind, count in self.molecules:
            for _ in range(count):
                yield kind, start
                start += len(kind.beads)

    @cached_property
    def beads(self) -> tuple[Bead, ...]:
        """All beads."""
        return tuple(bead for kind, _ in self._each() for bead in kind.beads)

    @property
    def n_beads(self) -> int:
        """Number of beads."""
        return len(self.beads)

    @cached_property
    def types(self) -> tuple[str, ...]:
        """Martini type of every bead."""
        return tuple(bead.type for bead in self.beads)

    @cached_property
    def type_names(self) -> tuple[str, ...]:
        """The types that occur, sorted."""
        return tuple(sorted(set(self.types)))

    @cached_property
    def charges(self) -> NDArray[np.float64]:
        """(n,) charges, e."""
        return np.array([bead.charge for bead in self.beads])

    @cached_property
    def masses(self) -> NDArray[np.float64]:
        """(n,) masses, amu."""
        return np.full(self.n_beads, BEAD_MASS)

    @cached_property
    def molecule_of_bead(self) -> NDArray[np.int64]:
        """(n,) index of the molecule that a bead belongs to."""
        sizes = [len(kind.beads) for kind, _ in self._each()]
        return np.repeat(np.arange(len(sizes)), sizes)

    @cached_property
    def bonds(self) -> tuple[tuple[int, int, float, float], ...]:
        """All bonds: i, j, length in nm, force constant in kJ/mol/nm^2."""
        return tuple(
            (start + b.i, start + b.j, b.length, b.force_constant)
            for kind, start in self._each()
            for b in kind.bonds
        )

    @cached_property
    def angles(self) -> tuple[tuple[int, int, int, float, float], ...]:
        """All angles: i, j, k, degrees, force constant in kJ/mol."""
        return tuple(
            (start + a.i, start + a.j, start + a.k, a.degrees, a.force_constant)
            for kind, start in self._each()
            for a in kind.angles
        )

    def select(self, role: Role) -> NDArray[np.int64]:
        """Return the indices of the beads of all lipids, all solutes or all water."""
        found = [
            start + n
            for kind, start in self._each()
            for n in range(len(kind.beads))
            if kind.role == role
        ]
        return np.array(found, dtype=np.int64)

    def count(self, role: Role) -> int:
        """Return the number of molecules of a role."""
        return sum(count for kind, count in self.molecules if kind.role == role)

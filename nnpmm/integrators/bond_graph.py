"""Covalent bonds of a region by distance, and whether they are still those of the topology."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm.app import Topology

from nnpmm.core.geometry import WholeRegion
from nnpmm.structures.bonds import parted_bonds
from nnpmm.structures.elements import region_elements

__all__ = ["BondChange", "BondGraph"]

_NM_PER_ANGSTROM = 0.1


class BondChange(NamedTuple):
    """A bond that has formed, or a bond of the topology that has broken.

    Attributes:
        atoms: rows of the two atoms in the region.
        formed: True if it has formed, False if it has broken.
        distance: nm.
        ratio: distance over the sum of the covalent radii.
    """

    atoms: tuple[int, int]
    formed: bool
    distance: float
    ratio: float


class BondGraph:
    """The bonds of a region, which change with hysteresis.

    A bond breaks where its atoms are further apart than ``broken`` times the sum of their covalent
    radii (those of rdkit), and forms where they are closer than ``formed`` times it; between the
    two limits its state does not change, so a shared proton does not flicker.

    Args:
        system: MM or hybrid system, whose bonds are used in addition to those of the topology.
        topology: with elements.
        region: indices of its atoms, (n,).
        broken: largest ratio of a bond.
        formed: smallest ratio of atoms without a bond; less than ``broken``.
    """

    def __init__(
        self,
        system: openmm.System,
        topology: Topology,
        region: NDArray[np.int64],
        *,
        broken: float,
        formed: float,
    ) -> None:
        from rdkit import Chem

        rows = {atom: row for row, atom in enumerate(region.tolist())}
        inside, _ = parted_bonds(system, topology, set(rows))
        bonds = np.array([(rows[i], rows[j]) for i, j in sorted(inside)], dtype=np.int64)
        self._join = WholeRegion(len(region), bonds.reshape(-1, 2))
        table = Chem.GetPeriodicTable()
        radii = _NM_PER_ANGSTROM * np.array(
            [table.GetRcovalent(e.atomic_number) for e in region_elements(topology, region)]
        )
        self._first, self._second = np.triu_indices(len(region), 1)
        self._lengths = radii[self._first] + radii[self._second]
        pairs = {tuple(sorted(pair)) for pair in bonds.tolist()}
        self._reference = np.array(
            [pair in pairs for pair in zip(self._first, self._second, strict=True)], dtype=bool
        )
        self._present = self._reference.copy()
        self._broken, self._formed = broken, formed

    def update(
        self, region: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> list[BondChange]:
        """Update the bonds from positions (n, 3), nm; return how they differ from the topology's.

        Args:
            region: positions of its atoms, which a periodic boundary may separate.
            box: periodic box vectors as rows, (3, 3), nm, or None.
        """
        distances, ratios = self.distances(region, box)
        limits = np.where(self._present, self._broken, self._formed)
        self._present = ratios <= limits
        return [
            BondChange(
                (int(self._first[pair]), int(self._second[pair])),
                bool(self._present[pair]),
                float(distances[pair]),
                float(ratios[pair]),
            )
            for pair in np.flatnonzero(self._present != self._reference)
        ]

    def distances(
        self, region: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return all distances (m,) in nm, and their ratios to the sums of covalent radii (m,)."""
        whole = self._join(region, box)
        distances = np.linalg.norm(whole[self._first] - whole[self._second], axis=1)
        return distances, distances / self._lengths

    def describe(self, change: BondChange, labels: Sequence[str]) -> str:
        """Return a change in words.

        Args:
            change: from `update`.
            labels: of the region's atoms.
        """
        first, second = (labels[row] for row in change.atoms)
        what, side = ("a bond has formed", "below") if change.formed else ("a bond broke", "over")
        limit = self._formed if change.formed else self._broken
        return (
            f"{what} between {first} and {second}, {change.distance:.3f} nm apart, "
            f"{change.ratio:.2f} times the covalent radii ({what.split()[-1]} {side} {limit:g})"
        )

    @property
    def bonded(self) -> NDArray[np.bool_]:
        """Which pairs the topology bonds, (m,), in the order of `distances`."""
        return self._reference

"""Link atoms: hydrogens that cap a region where it cuts single carbon-carbon bonds.

A link atom L stands on the cut bond between the region's atom Q and its neighbour M outside,

    r_L = r_Q + g (r_M - r_Q),  g = 0.109 nm / 0.1526 nm,

as in the scaled-position link atoms of ONIOM (Dapprich, Komaromi, Byun, Morokuma, Frisch, J. Mol.
Struct. THEOCHEM 1999, 461-462, 1): no new degree of freedom, and its force goes to Q and M by the
chain rule, F_Q += (1 - g) F_L, F_M += g F_L.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from openmm import unit
from openmm.app import Single, Topology

from nnpmm.coupling.boundary import bond_labels
from nnpmm.errors import RegionError
from nnpmm.models.protocol import (
    BatchEvaluation,
    Evaluation,
    Evaluator,
    checked_batch,
    checked_positions,
)
from nnpmm.units import in_md_units

__all__ = ["LINK_SCALE", "CappedEvaluator", "check_cut_bonds"]

#: Ratio of a C-H to a C-C single bond, 0.109 nm / 0.1526 nm (the Amber force field's lengths).
LINK_SCALE = 0.109 / 0.1526


def check_cut_bonds(topology: Topology, cut: list[tuple[int, int]]) -> None:
    """Check that every cut bond is a single bond between carbons.

    A bond is single if the topology says so, or if one of its carbons has four neighbours.

    Raises:
        RegionError: another bond is cut, or its order cannot be told; the bonds are named.
    """
    neighbours: dict[int, int] = {}
    orders: dict[frozenset[int], Any] = {}
    for bond in topology.bonds():
        pair = (bond.atom1.index, bond.atom2.index)
        orders[frozenset(pair)] = bond.type if bond.type is not None else bond.order
        for index in pair:
            neighbours[index] = neighbours.get(index, 0) + 1
    atoms = list(topology.atoms())
    refused = [
        (i, j)
        for i, j in cut
        if any(atoms[k].element is None or atoms[k].element.symbol != "C" for k in (i, j))
        or not (orders.get(frozenset((i, j))) in (Single, 1) or 4 in (neighbours[i], neighbours[j]))
    ]
    if refused:
        raise RegionError(
            f"link atoms cannot cap {len(refused)} of the cut bonds "
            f"({bond_labels(topology, refused)}); allowed: single bonds between carbons, one of "
            "which has four neighbours or whose order the topology gives; move the boundary"
        )


class CappedEvaluator:
    """A potential of a capped region, as one of the region's atoms and the neighbours cut off.

    Args:
        evaluator: bound to the region's atoms followed by one hydrogen for each cut bond.
        anchors: row of Q for each cut bond, within the region.
        hosts: row of M for each cut bond, in the region's atoms followed by the distinct
            neighbours; several bonds may end at one neighbour.
        scale: g, where the link atoms stand.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        anchors: NDArray[np.int64],
        hosts: NDArray[np.int64],
        scale: float = LINK_SCALE,
    ) -> None:
        self.evaluator = evaluator
        self.anchors = anchors
        self.hosts = hosts
        self.scale = scale
        self._n_region = len(evaluator.atomic_numbers) - len(anchors)
        carbons = np.full(len(np.unique(hosts)), 6, dtype=np.int64)
        self.atomic_numbers = np.concatenate([evaluator.atomic_numbers[: self._n_region], carbons])

    @property
    def energy_offset(self) -> float:
        """Sum of the self energies of region and link atoms, kJ/mol."""
        return self.evaluator.energy_offset

    def __call__(self, positions: Any, box: Any = None) -> tuple[float, NDArray[np.float64]]:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm, those on link atoms passed on."""
        energy, forces = self.evaluator(self.capped(positions), box)
        return energy, self.spread(forces)

    def evaluate(self, positions: Any, box: Any = None) -> Evaluation:
        """Like a call, with the energy of every member of the ensemble."""
        found = self.evaluator.evaluate(self.capped(positions), box)
        return Evaluation(found.energy, self.spread(found.forces), found.member_energies)

    def member_energies(self, positions: Any, box: Any = None) -> NDArray[np.float64]:
        """Return the energy of every member of the ensemble, (m,), kJ/mol."""
        return self.evaluator.member_energies(self.capped(positions), box)

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate geometries (k, n, 3) in nm."""
        array = checked_batch(in_md_units(positions, unit.nanometer), len(self.atomic_numbers))
        found = self.evaluator.batch(np.array([self.capped(geometry) for geometry in array]))
        forces = np.array([self.spread(each) for each in found.forces])
        return BatchEvaluation(found.energies, forces, found.member_energies)

    def capped(self, positions: Any) -> NDArray[np.float64]:
        """Return the region with its link atoms from the region with its neighbours, nm."""
        array = checked_positions(in_md_units(positions, unit.nanometer), len(self.atomic_numbers))
        anchors = array[self.anchors]
        links = anchors + self.scale * (array[self.hosts] - anchors)
        return np.concatenate([array[: self._n_region], links])

    def spread(self, forces: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return forces on the region and its neighbours from those with link atoms."""
        spread = np.zeros((len(self.atomic_numbers), 3))
        spread[: self._n_region] = forces[: self._n_region]
        links = forces[self._n_region :]
        np.add.at(spread, self.anchors, (1 - self.scale) * links)
        np.add.at(spread, self.hosts, self.scale * links)
        return spread

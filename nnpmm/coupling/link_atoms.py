"""Link atoms: hydrogens that cap a region where it cuts single carbon-carbon bonds.

A link atom L stands on the cut bond between the region's atom Q and its neighbour M outside, at the
length of a C-H bond,

    r_L = r_Q + d u,  u = (r_M - r_Q) / |r_M - r_Q|,  d = 0.109 nm,

as by default in AMBER's sander (Walker, Crowley, Case, J. Comput. Chem. 2008, 29, 1019): no new
degree of freedom, and its force goes to Q and M by the chain rule,

    F_M += d / |r_M - r_Q| (F_L - u (u . F_L)),  F_Q += F_L - that.

Nothing of it pulls along the bond, so the stretch of Q-M is the force field's alone. What else the
two descriptions share is said in `nnpmm.coupling.capped_terms`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openmm import unit
from openmm.app import Single, Topology

from nnpmm.core.errors import RegionError
from nnpmm.core.units import in_md_units
from nnpmm.coupling.boundary import bond_labels
from nnpmm.models.protocol import (
    BatchEvaluation,
    Energies,
    Evaluation,
    Evaluator,
    at_each_step,
    checked_batch,
    checked_positions,
    last_energies,
)

__all__ = ["LINK_DISTANCE", "CappedEvaluator", "LinkAtoms", "check_cut_bonds"]

#: From the region's atom to its link atom, nm: a C-H bond of the Amber force field.
LINK_DISTANCE = 0.109


@dataclass(frozen=True)
class LinkAtoms:
    """The boundary of a region that hydrogens cap where it cuts single bonds between carbons.

    Force-field terms with an atom outside the region stay, but for angles and torsions that the
    capped network has as well; charges stay too.
    """


def check_cut_bonds(topology: Topology, cut: list[tuple[int, int]]) -> None:
    """Check that every cut bond is a single bond between carbons, and has its neighbour alone.

    A bond is single if the topology says so, or if one of its carbons has four neighbours. Two cut
    bonds at one neighbour would have their link atoms 0.07 nm apart.

    Raises:
        RegionError: another bond is cut, its order cannot be determined, or two end at one
            neighbour; the bonds are named.
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
        or not (
            orders.get(frozenset((i, j))) in (Single, 1)
            or 4 in (neighbours.get(i), neighbours.get(j))
        )
    ]
    if refused:
        raise RegionError(
            f"link atoms cannot cap {len(refused)} of the cut bonds "
            f"({bond_labels(topology, refused)}); allowed: single bonds between carbons, one of "
            "which has four neighbours or whose order the topology gives; move the boundary, or "
            "give a topology with all bonds"
        )
    ends = Counter(j for _, j in cut)
    crowded = [(i, j) for i, j in cut if ends[j] > 1]
    if crowded:
        raise RegionError(
            f"{len(crowded)} of the cut bonds ({bond_labels(topology, crowded)}) end at a "
            "neighbour that they share, where their link atoms would overlap; allowed: one cut "
            "bond for each atom outside; take the neighbour into the region, or keep only one of "
            "its sides"
        )


class CappedEvaluator:
    """A potential of a capped region, as one of the region's atoms and the neighbours cut off.

    Args:
        evaluator: bound to the region's atoms followed by one hydrogen for each cut bond.
        anchors: row of Q for each cut bond, within the region.
        hosts: row of M for each cut bond, all different, in the region's atoms followed by the
            neighbours.
        distance: d, from Q to its link atom, nm.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        anchors: NDArray[np.int64],
        hosts: NDArray[np.int64],
        distance: float = LINK_DISTANCE,
    ) -> None:
        self.evaluator = evaluator
        self.anchors = anchors
        self.hosts = hosts
        self.distance = distance
        self._n_region = len(evaluator.atomic_numbers) - len(anchors)
        carbons = np.full(len(hosts), 6, dtype=np.int64)
        self.atomic_numbers = np.concatenate([evaluator.atomic_numbers[: self._n_region], carbons])

    @property
    def energy_offset(self) -> float:
        """Sum of the self energies of region and link atoms, kJ/mol."""
        return self.evaluator.energy_offset

    def __call__(self, positions: Any, box: Any = None) -> tuple[float, NDArray[np.float64]]:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm, those on link atoms passed on."""
        array = self._checked(positions)
        energy, forces = self.evaluator(self.capped(array), box)
        return energy, self.spread(forces, array)

    def at_each_step(
        self, positions: NDArray[np.float64], box: Any = None
    ) -> tuple[float, NDArray[np.float64]]:
        """Like a call, without checks; see `nnpmm.models.protocol.at_each_step`."""
        energy, forces = at_each_step(self.evaluator)(self.capped(positions), box)
        return energy, self.spread(forces, positions)

    def last_energies(self, positions: NDArray[np.float64], box: Any = None) -> Energies | None:
        """Return what the last step found; see `nnpmm.models.protocol.last_energies`."""
        return last_energies(self.evaluator, self.capped(positions), box)

    def evaluate(self, positions: Any, box: Any = None) -> Evaluation:
        """Like a call, with the energy of every member of the ensemble."""
        array = self._checked(positions)
        found = self.evaluator.evaluate(self.capped(array), box)
        return Evaluation(found.energy, self.spread(found.forces, array), found.member_energies)

    def member_energies(self, positions: Any, box: Any = None) -> NDArray[np.float64]:
        """Return the energy of every member of the ensemble, (m,), kJ/mol."""
        return self.evaluator.member_energies(self.capped(self._checked(positions)), box)

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate geometries (k, n, 3) in nm."""
        array = checked_batch(in_md_units(positions, unit.nanometer), len(self.atomic_numbers))
        found = self.evaluator.batch(np.array([self.capped(geometry) for geometry in array]))
        pairs = zip(found.forces, array, strict=True)
        forces = np.array([self.spread(each, geometry) for each, geometry in pairs])
        return BatchEvaluation(found.energies, forces, found.member_energies)

    def capped(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the region with its link atoms from the region with its neighbours, nm."""
        directions, _ = self._bonds(positions)
        links = positions[self.anchors] + self.distance * directions
        return np.concatenate([positions[: self._n_region], links])

    def spread(
        self, forces: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return forces on the region and its neighbours from those with link atoms.

        Args:
            forces: on the region and its link atoms, kJ/mol/nm.
            positions: of the region and its neighbours, nm.
        """
        spread = np.zeros((len(self.atomic_numbers), 3))
        spread[: self._n_region] = forces[: self._n_region]
        links = forces[self._n_region :]
        directions, lengths = self._bonds(positions)
        along = (links * directions).sum(axis=1, keepdims=True) * directions
        on_hosts = self.distance / lengths * (links - along)
        np.add.at(spread, self.anchors, links - on_hosts)  # several bonds may begin at one Q
        spread[self.hosts] += on_hosts
        return spread

    def _bonds(
        self, positions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return unit vectors (m, 3) from Q to M and lengths (m, 1) of the cut bonds."""
        vectors = positions[self.hosts] - positions[self.anchors]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / lengths, lengths

    def _checked(self, positions: Any) -> NDArray[np.float64]:
        return checked_positions(in_md_units(positions, unit.nanometer), len(self.atomic_numbers))

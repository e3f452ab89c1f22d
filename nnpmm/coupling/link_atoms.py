"""Link atoms: hydrogens that cap a region where it cuts single bonds.

A link atom L lies on the cut bond between the region's atom Q and its neighbour M outside, at the
length d of a bond from Q to hydrogen,

    r_L = r_Q + d u,  u = (r_M - r_Q) / |r_M - r_Q|,

as by default in AMBER's sander (Walker, Crowley, Case, J. Comput. Chem. 2008, 29, 1019). It adds no
degree of freedom. The chain rule distributes its force F_L to Q and M,

    G = d / |r_M - r_Q| (F_L - u (u . F_L)),  F_M += G,  F_Q += F_L - G.

The force on M has no component along the bond, so only the force field describes its stretch.
(ONIOM's r_L = r_Q + g (r_M - r_Q) with a fixed ratio g, Dapprich et al., J. Mol. Struct. THEOCHEM
1999, 461, 1, would add the network's to it.) `nnpmm.coupling.capped_terms` decides which other
terms the network describes; `nnpmm.structures.link_bonds` defines d and which bonds may be cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.errors import ConfigError
from nnpmm.core.units import in_md_units
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
from nnpmm.structures.link_bonds import checked_distances, checked_kinds

__all__ = ["CappedEvaluator", "LinkAtoms"]


@dataclass(frozen=True)
class LinkAtoms:
    """A boundary that caps the region with hydrogens where it cuts single bonds.

    Force-field terms with an atom outside the region stay, except for angles and torsions that the
    capped network already describes.

    Args:
        bonds: kinds of single bonds that the region may cut: pairs of elements such as ``"C-S"``;
            ``"any single"`` for all between non-metals; ``"amide"`` for C(=O)-N, a partial double
            bond that no other kind includes. A hydrogen replaces a carbon better than a polar atom.
        distances: from the region's atom to its link atom by bond, the region's atom first, nm or
            a Quantity, such as ``{"N-C": 0.101}``; the defaults are in
            `nnpmm.structures.link_bonds.HYDROGEN_DISTANCES`.
        charges: what happens to the region's charges, whose sum need not be an integer. ``"keep"``
            leaves them unchanged. ``"shift"`` moves the excess of each molecule, in equal parts for
            its cuts, from the region's atom of each cut bond to its neighbour outside. The region's
            charge is then an integer, and the system's charge does not change.

    Raises:
        ConfigError: unknown kind of bond, distance or choice of charges.
    """

    bonds: str | tuple[str, ...] = ("C-C",)
    distances: Mapping[str, Any] = field(default_factory=dict)
    charges: Literal["keep", "shift"] = "keep"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bonds", checked_kinds(self.bonds))
        if self.charges not in ("keep", "shift"):
            raise ConfigError(f"found charges={self.charges!r}, allowed: 'keep', 'shift'")
        object.__setattr__(self, "distances", checked_distances(self.distances))


class CappedEvaluator:
    """The potential of a capped region, as a function of the region's atoms and their neighbours.

    It takes the positions of the atoms of the region followed by the atom M of each cut bond.

    Args:
        evaluator: bound to the region's atoms followed by one hydrogen for each cut bond.
        anchors: row of Q for each cut bond.
        hosts: row of M for each cut bond, all different.
        host_numbers: atomic number of M for each cut bond.
        distances: d for each cut bond, from Q to its link atom, nm.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        anchors: NDArray[np.int64],
        hosts: NDArray[np.int64],
        host_numbers: NDArray[np.int64],
        distances: NDArray[np.float64],
    ) -> None:
        self.evaluator = evaluator
        self.anchors = anchors
        self.hosts = hosts
        self.distances = np.asarray(distances, dtype=np.float64)[:, np.newaxis]
        self._n_region = len(evaluator.atomic_numbers) - len(anchors)
        self.atomic_numbers = np.concatenate(
            [evaluator.atomic_numbers[: self._n_region], host_numbers]
        )

    @property
    def energy_offset(self) -> float:
        """Sum of the self energies of region and link atoms, kJ/mol."""
        return self.evaluator.energy_offset

    def __call__(self, positions: Any, box: Any = None) -> tuple[float, NDArray[np.float64]]:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm on region and neighbours."""
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
        """Return the energies of the last step; see `nnpmm.models.protocol.last_energies`."""
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
        """Return positions of region and link atoms from those of region and neighbours, nm."""
        directions, _ = self._bonds(positions)
        links = positions[self.anchors] + self.distances * directions
        return np.concatenate([positions[: self._n_region], links])

    def spread(
        self, forces: NDArray[np.float64], positions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return forces on region and neighbours from those on region and link atoms.

        Args:
            forces: on the region and its link atoms, kJ/mol/nm.
            positions: of the region and its neighbours, nm.
        """
        spread = np.zeros((len(self.atomic_numbers), 3))
        spread[: self._n_region] = forces[: self._n_region]
        links = forces[self._n_region :]
        directions, lengths = self._bonds(positions)
        along = (links * directions).sum(axis=1, keepdims=True) * directions
        on_hosts = self.distances / lengths * (links - along)
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

"""The binding site of a ligand, and whether the ligand is still in it.

A ligand has left its site when the centre of its heavy atoms is farther than a given distance from
its start, after superposition of the receptor's heavy atoms around the ligand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from openmm import app

from nnpmm.core.errors import RegionError, SimulationError
from nnpmm.core.geometry import WholeRegion
from nnpmm.core.superposition import superposed
from nnpmm.structures import MMSystem
from nnpmm.structures.bonds import covalent_bonds
from nnpmm.structures.selection import is_water

__all__ = ["Site", "Solute", "heavy_atoms"]

_AROUND = 1.0  # nm; receptor atoms nearer to the ligand than this are superposed
_LEAST = 3  # atoms, to define an orientation


class Solute:
    """The receptor and its ligand: all that is neither water nor an ion of one atom.

    Args:
        mm: a complex with the atoms of its ligand.

    Attributes:
        atoms: (n,) sorted 0-based indices.
        ligand: (m,) rows of the ligand in ``atoms``.
        receptor: (n - m,) rows of all others.
        bonds: pairs of rows.

    Raises:
        RegionError: there is no receptor, or the ligand is several molecules.
    """

    def __init__(self, mm: MMSystem) -> None:
        assert mm.ligand_atoms is not None  # the caller has selected them
        ligand = set(mm.ligand_atoms.tolist())
        receptor = {
            atom.index
            for residue in mm.topology.residues()
            if not is_water(residue) and len(list(residue.atoms())) > 1
            for atom in residue.atoms()
        } - ligand
        if len(receptor) < _LEAST:
            raise RegionError(
                f"found {len(receptor)} atoms besides the ligand, water and ions; give a complex "
                "with its receptor, or another selection of the ligand"
            )
        self.atoms = np.array(sorted(receptor | ligand), dtype=np.int64)
        inside = np.isin(self.atoms, list(ligand))
        self.ligand, self.receptor = np.flatnonzero(inside), np.flatnonzero(~inside)
        rows = {int(atom): row for row, atom in enumerate(self.atoms)}
        self.bonds = [
            (rows[i], rows[j])
            for i, j in sorted(covalent_bonds(mm.system, mm.topology))
            if i in rows and j in rows
        ]
        of_ligand = {int(row): n for n, row in enumerate(self.ligand)}
        ligand_bonds = [
            (of_ligand[i], of_ligand[j]) for i, j in self.bonds if i in of_ligand and j in of_ligand
        ]
        molecules = WholeRegion(len(self.ligand), ligand_bonds).n_molecules
        if molecules != 1:
            raise RegionError(
                f"found a ligand of {molecules} molecules, allowed: one; narrow the selection"
            )
        self._whole = WholeRegion(len(self.atoms), self.bonds)

    def positions(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the solute's positions (n, 3), whole and in one image, from those of all atoms."""
        return self._whole(np.asarray(positions, dtype=np.float64)[self.atoms], box)


@dataclass(frozen=True, eq=False)
class Site:
    """A binding site, and the position of its ligand in one frame.

    Attributes:
        receptor: (k,) rows of the receptor's atoms that are superposed.
        ligand: (m,) rows of the ligand's heavy atoms.
        reference: (k, 3) positions of the receptor's atoms in this frame, nm.
        centre: (3,) centre of the ligand's heavy atoms in this frame, nm.
        radius: largest allowed distance of the ligand's centre from this one, nm.
    """

    receptor: NDArray[np.int64]
    ligand: NDArray[np.int64]
    reference: NDArray[np.float64]
    centre: NDArray[np.float64]
    radius: float

    @classmethod
    def around(
        cls, topology: app.Topology, solute: Solute, positions: NDArray[np.float64], radius: float
    ) -> Site:
        """Return the site in which a ligand is.

        Args:
            topology: of the whole system.
            solute: receptor and ligand.
            positions: (n, 3) of the solute, whole, nm.
            radius: largest allowed displacement of the ligand's centre, nm.

        Raises:
            SimulationError: the receptor has fewer than three heavy atoms within 1 nm of it.
        """
        heavy = heavy_atoms(topology, solute.atoms)
        ligand = solute.ligand[heavy[solute.ligand]]
        receptor = solute.receptor[heavy[solute.receptor]]
        distances = np.linalg.norm(
            positions[receptor][:, None] - positions[ligand][None], axis=-1
        ).min(axis=1)
        near = receptor[distances < _AROUND]
        if len(near) < _LEAST:
            raise SimulationError(
                f"the receptor has {len(near)} heavy atoms within {_AROUND:g} nm of the ligand, so "
                f"the ligand is not in a binding site; allowed: {_LEAST} or more; give a bound "
                "complex"
            )
        return cls(near, ligand, positions[near], positions[ligand].mean(axis=0), radius)

    def displacement(self, positions: NDArray[np.float64]) -> float:
        """Return how far the ligand's centre has moved in its site, nm; positions are (n, 3)."""
        moved = superposed(positions, self.receptor, self.reference)
        return float(np.linalg.norm(moved[self.ligand].mean(axis=0) - self.centre))

    def require_bound(self, positions: NDArray[np.float64], when: str) -> float:
        """Return the displacement of the ligand's centre, nm, if the ligand has not left its site.

        Args:
            positions: (n, 3) of the solute, whole, nm.
            when: for the message.

        Raises:
            SimulationError: the ligand has left its site.
        """
        moved = self.displacement(positions)
        if moved > self.radius:
            raise SimulationError(
                f"the ligand left its site {when}: its centre is {moved:.2f} nm from its start, "
                f"allowed: {self.radius:g} nm; check the pose and the force field, equilibrate "
                "longer, or allow a larger site"
            )
        return moved


def heavy_atoms(topology: app.Topology, atoms: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of some atoms (n,) are heavier than hydrogen."""
    elements = [atom.element for atom in topology.atoms()]
    found = [
        elements[index] is not None and elements[index].atomic_number > 1
        for index in atoms.tolist()
    ]
    return np.array(found, dtype=bool)

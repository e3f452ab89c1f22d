"""Strain of a bound pose: its energy above the global minimum of the free molecule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.conformers.ensemble import Ensemble
from nnpmm.conformers.potentials import FlatBottom, SumPotential
from nnpmm.core.errors import SimulationError
from nnpmm.core.superposition import superposed_rmsd
from nnpmm.torsions.internal import valence_terms
from nnpmm.torsions.relaxation import FORCE_TOLERANCE, BatchPotential, Relaxed, relax_all

__all__ = ["RelaxedPose", "Strain", "relax_pose", "strain_of"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RelaxedPose:
    """A pose of n atoms with a potential; energies without the restraint, kJ/mol.

    Attributes:
        restrained: nm, (n, 3), relaxed within the restraint.
        restrained_members: kJ/mol, (m,), of each network.
        restrained_energy: kJ/mol.
        moved: nm, RMSD of the restrained atoms from the pose.
        minimum: nm, (n, 3), the minimum next to it, without the restraint.
        minimum_energy: kJ/mol.
        minimum_moved: nm, RMSD of the same atoms from the pose, superimposed.
    """

    restrained: _Array
    restrained_members: _Array
    restrained_energy: float
    moved: float
    minimum: _Array
    minimum_energy: float
    minimum_moved: float

    def to_arrays(self) -> dict[str, _Array]:
        """Return arrays for a file, which `from_arrays` reads."""
        scalars = [self.restrained_energy, self.moved, self.minimum_energy, self.minimum_moved]
        arrays = {"restrained": self.restrained, "minimum": self.minimum}
        return {**arrays, "members": self.restrained_members, "scalars": np.array(scalars)}

    @staticmethod
    def from_arrays(arrays: dict[str, _Array]) -> RelaxedPose:
        """Return the pose that `to_arrays` wrote."""
        energy, moved, minimum_energy, minimum_moved = arrays["scalars"].tolist()
        return RelaxedPose(
            restrained=arrays["restrained"],
            restrained_members=arrays["members"],
            restrained_energy=energy,
            moved=moved,
            minimum=arrays["minimum"],
            minimum_energy=minimum_energy,
            minimum_moved=minimum_moved,
        )


@dataclass(frozen=True)
class Strain:
    """Energy of a pose above the global minimum, kJ/mol.

    Attributes:
        restrained: of the pose relaxed within its restraint.
        spread: its standard deviation over the networks.
        minimum: of the minimum next to the pose.
    """

    restrained: float
    spread: float
    minimum: float


def relax_pose(
    molecule: Chem.Mol, potential: BatchPotential, *, width: float, constant: float
) -> RelaxedPose:
    """Relax a pose within a flat-bottomed restraint of its heavy atoms, and then without it.

    Args:
        molecule: n atoms with the pose as its conformer.
        potential: bound to them.
        width: nm, within which heavy atoms move freely.
        constant: of the restraint beyond, kJ/mol/nm^2.

    Raises:
        SimulationError: a minimisation did not end.
    """
    start = 0.1 * np.array(molecule.GetConformer().GetPositions())
    heavy = np.array([a.GetIdx() for a in molecule.GetAtoms() if a.GetAtomicNum() > 1])
    terms = valence_terms(molecule)
    restraint = FlatBottom(start, heavy, width, constant)
    found = relax_all(SumPotential(potential, (restraint,)), start[None], terms)
    _require_convergence(found, "within the restraint")
    free = relax_all(potential, found.positions, terms)
    _require_convergence(free, "without the restraint")
    own = potential.batch(found.positions)
    return RelaxedPose(
        restrained=found.positions[0],
        restrained_members=own.member_energies[0],
        restrained_energy=float(own.energies[0]),
        moved=float(np.sqrt(((found.positions[0] - start)[heavy] ** 2).sum(axis=1).mean())),
        minimum=free.positions[0],
        minimum_energy=float(free.energies[0]),
        minimum_moved=superposed_rmsd(free.positions[0][heavy], start[heavy]),
    )


def strain_of(pose: RelaxedPose, ensemble: Ensemble) -> Strain:
    """Return the strain of a pose against the lowest conformer of an ensemble.

    Args:
        pose: relaxed with the same potential as the ensemble, whose candidates should contain its
            minimum: then no strain is negative by more than the restraint's force.
        ensemble: of the same molecule.
    """
    members = pose.restrained_members - ensemble.member_energies[0]
    return Strain(
        restrained=float(pose.restrained_energy - ensemble.energies[0]),
        spread=float(members.std(ddof=1)) if len(members) > 1 else 0.0,
        minimum=float(pose.minimum_energy - ensemble.energies[0]),
    )


def _require_convergence(found: Relaxed, how: str) -> None:
    if found.left[0] > 10 * FORCE_TOLERANCE:
        raise SimulationError(
            f"found a force of {found.left[0]:.3g} kJ/mol/nm after the minimisation of the pose "
            f"{how}, allowed: {10 * FORCE_TOLERANCE:g}; check the pose for overlapping atoms"
        )

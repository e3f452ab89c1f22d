"""Potentials that are added to a network: implicit water, and a restraint to a pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app
from openmm.app.internal.customgbforces import GBSAOBC2Force
from rdkit import Chem

from nnpmm.core.errors import ForceFieldError
from nnpmm.models import BatchEvaluation, Evaluator, OpenMMPotential
from nnpmm.structures import LigandParameters, to_openmm_topology
from nnpmm.torsions.relaxation import BatchPotential

__all__ = ["WATER_DIELECTRIC", "FlatBottom", "SumPotential", "bind_implicit_water"]

#: Dielectric constant of water at 298 K in OpenMM's implicit solvents.
WATER_DIELECTRIC = 78.5
# OpenMM gives all other elements a radius of 0.15 nm.
_WITH_RADII = frozenset("H C N O F P S Cl".split())

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class SumPotential:
    """The sum of potentials that are bound to the same n atoms.

    Attributes:
        network: potential whose members become those of the sum.
        others: added to the energy and to that of each member.
    """

    network: BatchPotential
    others: tuple[BatchPotential, ...]

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate positions (k, n, 3), nm."""
        energies, forces, members = self.network.batch(positions)
        for other in self.others:
            more = other.batch(positions)
            energies = energies + more.energies
            forces = forces + more.forces
            members = members + more.energies[:, None]
        return BatchEvaluation(energies, forces, members)


@dataclass(frozen=True)
class FlatBottom:
    r"""A restraint of atoms to their positions in a pose, flat within the pose's uncertainty.

    ``sum_i k/2 max(0, |x_i - x_i^0| - w)^2``

    Attributes:
        reference: (n, 3), nm; only the rows of ``atoms`` are used.
        atoms: rows, (a,).
        width: w, nm, within which an atom moves freely.
        constant: k, kJ/mol/nm^2.
    """

    reference: _Array
    atoms: NDArray[np.int64]
    width: float
    constant: float

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate positions (k, n, 3), nm."""
        away = positions[:, self.atoms] - self.reference[self.atoms]
        distance = np.linalg.norm(away, axis=-1)
        beyond = np.maximum(distance - self.width, 0.0)
        energies = 0.5 * self.constant * (beyond**2).sum(axis=1)
        forces = np.zeros_like(positions)
        pull = -self.constant * beyond / np.maximum(distance, 1e-12)
        forces[:, self.atoms] = pull[..., None] * away
        return BatchEvaluation(energies, forces, energies[:, None])


def bind_implicit_water(molecule: Chem.Mol, parameters: LigandParameters) -> Evaluator:
    """Return the solvation energy of a molecule in implicit water, bound to its atoms.

    Generalised Born with surface area: model OBC2 (A. Onufriev, D. Bashford and D. A. Case,
    Proteins 2004, 55, 383) with the radii mbondi2, fixed charges of a force field, and the surface
    term of M. Schaefer, C. Bartels and M. Karplus (J. Mol. Biol. 1998, 284, 835), as OpenMM has
    them.

    Args:
        molecule: n atoms with a conformer.
        parameters: of the same atoms; only the charges are used.

    Raises:
        ForceFieldError: an element without a radius in this model.
    """
    symbols = {atom.GetSymbol() for atom in molecule.GetAtoms()}
    if unknown := sorted(symbols - _WITH_RADII):
        raise ForceFieldError(
            f"found {', '.join(unknown)}, implicit water has radii of "
            f"{', '.join(sorted(_WITH_RADII))}; use vacuum"
        )
    topology, _ = to_openmm_topology(molecule)
    system, force = openmm.System(), openmm.GBSAOBCForce()
    force.setSolventDielectric(WATER_DIELECTRIC)
    rows = zip(
        molecule.GetAtoms(),
        parameters.charges,
        _radii(topology),
        strict=True,
    )
    for atom, charge, (radius, scale) in rows:
        system.addParticle(app.Element.getByAtomicNumber(atom.GetAtomicNum()).mass)
        force.addParticle(float(charge), radius, scale)
    system.addForce(force)
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    return OpenMMPotential(system, "implicit water").bind(numbers, Chem.GetFormalCharge(molecule))


def _radii(topology: app.Topology) -> Sequence[tuple[float, float]]:
    """Return radius, nm, and scale of each atom, the standard ones of Amber's igb=5."""
    return [
        (float(radius), float(scale))
        for radius, scale in GBSAOBC2Force.getStandardParameters(topology)
    ]

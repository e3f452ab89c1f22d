"""Force-field parameters of a ligand from an OpenMM System of it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import openmm
from openmm import unit
from rdkit import Chem

from nnpmm.core.errors import ForceFieldError

__all__ = ["terms_from_system"]


def terms_from_system(system: openmm.System, molecule: Chem.Mol) -> dict[str, Any]:
    """Read charges, Lennard-Jones and valence terms of a single molecule from a System.

    Args:
        system: forces of the classes NonbondedForce, HarmonicBondForce, HarmonicAngleForce and
            PeriodicTorsionForce.
        molecule: the n atoms of the System in the same order.

    Returns:
        charges (n,), sigma (n,), epsilon (n,), bonds, angles, torsions and impropers as in
        ``LigandParameters``. The rounding error of the total charge is spread over all atoms.

    Raises:
        ForceFieldError: another number of particles, or a force of another class.
    """
    n_atoms = molecule.GetNumAtoms()
    if system.getNumParticles() != n_atoms:
        raise ForceFieldError(
            f"found {system.getNumParticles()} particles for {n_atoms} atoms, allowed: force "
            "fields without virtual sites"
        )
    terms: dict[str, Any] = {"bonds": (), "angles": (), "torsions": (), "impropers": ()}
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            rows = [_floats(force.getParticleParameters(i)) for i in range(n_atoms)]
            charges, sigma, epsilon = np.array(rows, dtype=np.float64).T
            charges = charges + (Chem.GetFormalCharge(molecule) - charges.sum()) / n_atoms
            terms.update(charges=charges, sigma=sigma, epsilon=epsilon)
        elif isinstance(force, openmm.HarmonicBondForce):
            count = force.getNumBonds()
            terms["bonds"] = tuple(_floats(force.getBondParameters(i)) for i in range(count))
        elif isinstance(force, openmm.HarmonicAngleForce):
            count = force.getNumAngles()
            terms["angles"] = tuple(_floats(force.getAngleParameters(i)) for i in range(count))
        elif isinstance(force, openmm.PeriodicTorsionForce):
            terms.update(_split_torsions(force, molecule))
        elif not isinstance(force, openmm.CMMotionRemover):
            raise ForceFieldError(
                f"found the force {type(force).__name__} on the ligand, allowed: NonbondedForce, "
                "HarmonicBondForce, HarmonicAngleForce and PeriodicTorsionForce"
            )
    return terms


def _floats(parameters: Any) -> tuple[Any, ...]:
    return tuple(
        value.value_in_unit_system(unit.md_unit_system) if unit.is_quantity(value) else value
        for value in parameters
    )


def _split_torsions(
    force: openmm.PeriodicTorsionForce, molecule: Chem.Mol
) -> dict[str, tuple[Any, ...]]:
    propers: list[Any] = []
    impropers: list[Any] = []
    for index in range(force.getNumTorsions()):
        term = _floats(force.getTorsionParameters(index))
        pairs = itertools.pairwise(term[:4])
        if all(molecule.GetBondBetweenAtoms(a, b) is not None for a, b in pairs):
            propers.append(term)
        else:
            impropers.append(_centre_third(term, molecule))
    return {"torsions": tuple(propers), "impropers": tuple(impropers)}


def _centre_third(term: tuple[Any, ...], molecule: Chem.Mol) -> tuple[Any, ...]:
    """Return an improper with its centre in the third place if it is in the second.

    Amber files contain both. Read backwards, the dihedral is the same.
    """
    a, b, c, d, *rest = term
    if all(molecule.GetBondBetweenAtoms(b, other) is not None for other in (a, c, d)):
        return (d, c, b, a, *rest)
    return term

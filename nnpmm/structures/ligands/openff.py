"""Parameters from the OpenFF toolkit, which is imported only on use."""

from __future__ import annotations

import importlib.util
import itertools
from typing import Any

import numpy as np
import openmm
from openmm import unit
from rdkit import Chem

from nnpmm.core.errors import ForceFieldError, OptionalDependencyError

__all__ = ["OPENFF_FORCE_FIELD", "is_installed", "openff_terms", "terms_from_system"]

#: Sage 2.2 without bond constraints, so that every bond has a force constant.
OPENFF_FORCE_FIELD = "openff_unconstrained-2.2.0.offxml"

_INSTALL = "conda install -c conda-forge openff-toolkit"


def is_installed() -> bool:
    """Say whether the OpenFF toolkit can be imported."""
    if importlib.util.find_spec("openff") is None:
        return False
    return importlib.util.find_spec("openff.toolkit") is not None


def openff_terms(molecule: Chem.Mol) -> dict[str, Any]:
    """Parameterize with OpenFF 2.2 (Sage) and AM1-BCC charges.

    Args:
        molecule: one molecule of n atoms, hydrogens explicit.

    Returns:
        The fields of ``LigandParameters``.

    Raises:
        OptionalDependencyError: the toolkit is not installed.
        ForceFieldError: the toolkit cannot parameterize the molecule.

    References:
        S. Boothroyd et al., J. Chem. Theory Comput. 2023, 19, 3251 (Sage).
    """
    try:
        from openff.toolkit import ForceField, Molecule
    except ImportError as error:
        raise OptionalDependencyError(
            f"found no OpenFF toolkit, which provider='openff' needs; install it with '{_INSTALL}' "
            "or use provider='fallback'"
        ) from error
    try:
        subject = Molecule.from_rdkit(
            molecule, allow_undefined_stereo=True, hydrogens_are_explicit=True
        )
        topology = subject.to_topology()
        force_field = ForceField(OPENFF_FORCE_FIELD)
        system = force_field.create_openmm_system(topology)
        labels = force_field.label_molecules(topology)[0]["vdW"]
    except Exception as error:  # the toolkit raises many types; its text says what failed
        reason = " ".join(str(error).split())[:300]
        raise ForceFieldError(
            f"found a molecule that the OpenFF toolkit cannot parameterize: {reason}; AM1-BCC "
            "charges need AmberTools or OpenEye; or use provider='fallback'"
        ) from error
    lj_types = tuple(str(labels[(index,)].id) for index in range(molecule.GetNumAtoms()))
    provider = f"openff-toolkit: {OPENFF_FORCE_FIELD} with AM1-BCC charges"
    return {"provider": provider, "lj_types": lj_types, **terms_from_system(system, molecule)}


def terms_from_system(system: openmm.System, molecule: Chem.Mol) -> dict[str, Any]:
    """Read charges, Lennard-Jones and valence terms of a single molecule from a System.

    Args:
        system: has NonbondedForce, HarmonicBondForce, HarmonicAngleForce, PeriodicTorsionForce.
        molecule: the n atoms of the System in the same order.

    Returns:
        charges (n,), sigma (n,), epsilon (n,), bonds, angles, torsions and impropers as in
        ``LigandParameters``.

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
    """Return an improper read backwards, which is the same, if its centre is at the second place.

    So Amber files have them where atoms are sorted that way.
    """
    a, b, c, d, *rest = term
    if all(molecule.GetBondBetweenAtoms(b, other) is not None for other in (a, c, d)):
        return (d, c, b, a, *rest)
    return term

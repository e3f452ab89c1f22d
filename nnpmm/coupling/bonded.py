"""The region's bonded terms in an MM system: found, checked for cut bonds, and silenced."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.errors import ForceFieldError, RegionError

__all__ = ["BONDED", "connect_region", "silence_terms"]


@dataclass(frozen=True)
class _Terms:
    """How to walk the terms of one force class and how to make one vanish."""

    count: str
    get: str
    atoms: slice
    silence: Callable[[Any, int, list[Any]], None] | None


def _zero_bond(force: Any, index: int, term: list[Any]) -> None:
    force.setBondParameters(index, term[0], term[1], term[2], 0.0)


def _zero_angle(force: Any, index: int, term: list[Any]) -> None:
    force.setAngleParameters(index, *term[:3], term[3], 0.0)


def _zero_torsion(force: Any, index: int, term: list[Any]) -> None:
    force.setTorsionParameters(index, *term[:4], term[4], term[5], 0.0)


def _zero_rb_torsion(force: Any, index: int, term: list[Any]) -> None:
    force.setTorsionParameters(index, *term[:4], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def _zero_custom_torsion(force: Any, index: int, term: list[Any]) -> None:
    names = [force.getPerTorsionParameterName(i) for i in range(force.getNumPerTorsionParameters())]
    if "k" not in names or not _is_multiple_of_k(force.getEnergyFunction()):
        raise ForceFieldError(
            f"found a CustomTorsionForce with the energy {force.getEnergyFunction()!r} inside the "
            "region; allowed there: k times a function of theta, as in CHARMM's impropers"
        )
    parameters = [0.0 if name == "k" else value for name, value in zip(names, term[4], strict=True)]
    force.setTorsionParameters(index, *term[:4], parameters)


def _is_multiple_of_k(energy: str) -> bool:
    """True if the energy is ``k*...`` or ``0.5*k*...`` without further terms added to it."""
    outer = energy.split(";")[0].replace(" ", "")
    while (bare := re.sub(r"\([^()]*\)", "", outer)) != outer:
        outer = bare
    return re.fullmatch(r"(0\.5\*)?k\*[^+-]*", outer) is not None


# A CMAP term has no strength of its own to set to zero, so one inside the region is refused.
BONDED: dict[type[openmm.Force], _Terms] = {
    openmm.HarmonicBondForce: _Terms("getNumBonds", "getBondParameters", slice(0, 2), _zero_bond),
    openmm.HarmonicAngleForce: _Terms(
        "getNumAngles", "getAngleParameters", slice(0, 3), _zero_angle
    ),
    openmm.PeriodicTorsionForce: _Terms(
        "getNumTorsions", "getTorsionParameters", slice(0, 4), _zero_torsion
    ),
    openmm.RBTorsionForce: _Terms(
        "getNumTorsions", "getTorsionParameters", slice(0, 4), _zero_rb_torsion
    ),
    openmm.CustomTorsionForce: _Terms(
        "getNumTorsions", "getTorsionParameters", slice(0, 4), _zero_custom_torsion
    ),
    openmm.CMAPTorsionForce: _Terms("getNumTorsions", "getTorsionParameters", slice(1, 9), None),
}


def silence_terms(force: openmm.Force, region: NDArray[np.int64]) -> None:
    """Set the strength of every term that lies inside the region to zero, in place.

    The terms stay in the force: OpenMM finds molecules from bonds, and a ligand without bonds
    would be torn apart by barostats and trajectory writers.

    Raises:
        RegionError: a term joins the region to the rest; the covalent bonds cut are named.
        ForceFieldError: a kind of term that cannot be silenced lies inside the region.
    """
    terms = BONDED[type(force)]
    members = set(region.tolist())
    for index in range(getattr(force, terms.count)()):
        term = getattr(force, terms.get)(index)
        inside = [atom in members for atom in term[terms.atoms]]
        if not any(inside):
            continue
        if not all(inside):
            raise RegionError(
                f"the region cuts the {type(force).__name__} term over atoms {term[terms.atoms]}; "
                "select whole molecules"
            )
        if terms.silence is None:
            raise ForceFieldError(
                f"found a {type(force).__name__} term inside the region (atoms "
                f"{term[terms.atoms]}), "
                "which cannot be taken out; allowed outside the region only"
            )
        terms.silence(force, index, term)


def connect_region(
    system: openmm.System, region: NDArray[np.int64], bonds: set[tuple[int, int]]
) -> None:
    """Add zero-strength bonds, in place, so that OpenMM keeps the region's molecules together.

    Args:
        system: the system to change.
        region: sorted atom indices.
        bonds: pairs of atom indices that are bonded; pairs that the system's bond forces
            hold already are left out.
    """
    forces = [f for f in system.getForces() if type(f) is openmm.HarmonicBondForce]
    present = {
        tuple(sorted(force.getBondParameters(i)[:2]))
        for force in forces
        for i in range(force.getNumBonds())
    }
    missing = sorted(bonds - present)
    if not missing:
        return
    if not forces:
        forces = [openmm.HarmonicBondForce()]
        forces[0].setName("region connectivity")
        system.addForce(forces[0])
        forces = [f for f in system.getForces() if type(f) is openmm.HarmonicBondForce]
    for i, j in missing:
        forces[0].addBond(i, j, 0.1, 0.0)

"""AMOEBA's out-of-plane and in-plane angles in a form that OpenMM prepares and copies quickly.

OpenMM differentiates the energy of a CustomCompoundBondForce by every coordinate when a context is
made. Its AMOEBA builders write two forces in Cartesian coordinates, which take seconds each in
every context. Written in distances, angles and dihedrals, the energies are the same and preparation
is fast.
"""

from __future__ import annotations

import copy
import re

import openmm

__all__ = ["copied_system", "shorten_amoeba_terms"]

_NUMBER = r"([-+.\deE]+)"
_DEGREES = "57.2957795130823*"
# With atom 2 the centre of a trigonal group, 1 and 3 two neighbours and 4 the third: the projection
# of atom 2 on the plane of the others.
_PROJECTION = (
    "projx = x2-nx*dot; projy = y2-ny*dot; projz = z2-nz*dot;"
    "dot = nx*(x2-x3) + ny*(y2-y3) + nz*(z2-z3);"
    "nx = px/norm; ny = py/norm; nz = pz/norm;"
    "norm = sqrt(px*px + py*py + pz*pz);"
    "px = (d1y*d2z-d1z*d2y); py = (d1z*d2x-d1x*d2z); pz = (d1x*d2y-d1y*d2x);"
    "d1x = x1-x4; d1y = y1-y4; d1z = z1-z4;"
    "d2x = x3-x4; d2y = y3-y4; d2z = z3-z4"
)
# |x2 - x4| sin(2-4-3) |sin(2-4-3-1)| is the height of atom 2 above the plane.
_SINE = "sin(angle(p2,p4,p3))*sin(dihedral(p2,p4,p3,p1))"
_OUT_OF_PLANE = f"theta = {_DEGREES}asin(abs({_SINE}))"
_IN_PLANE = (
    f"d=theta-theta0; theta = {_DEGREES}acos((0.5*(a^2+b^2-distance(p1,p3)^2)-height2)"
    "/sqrt((a^2-height2)*(b^2-height2)));"
    f"height2 = (distance(p2,p4)*{_SINE})^2; a = distance(p1,p2); b = distance(p3,p2)"
)


def _pattern(variable: str, rest: str) -> re.Pattern[str]:
    """Return a pattern of the energy of one of OpenMM's builders, without blanks."""
    powers = "".join(f"+{{number}}*{variable}^{n}" for n in range(3, 7))
    text = re.escape(f"k*({variable}^2{powers});{rest}".replace(" ", ""))
    return re.compile(text.replace(re.escape("{number}"), _NUMBER))


#: Pattern of a builder's energy, its variable, and the expression that replaces it.
_FORMS = (
    (
        _pattern(
            "theta",
            f"theta = {_DEGREES}pointangle(x2, y2, z2, x4, y4, z4, projx, projy, projz);"
            + _PROJECTION,
        ),
        "theta",
        _OUT_OF_PLANE,
    ),
    (
        _pattern(
            "d",
            f"d=theta-theta0;theta = {_DEGREES}"
            "pointangle(x1, y1, z1, projx, projy, projz, x3, y3, z3);" + _PROJECTION,
        ),
        "d",
        _IN_PLANE,
    ),
)


def copied_system(system: openmm.System) -> openmm.System:
    """Return a copy of a System.

    OpenMM copies through its XML, which omits whether an AmoebaVdwForce uses its long-range
    correction. In a plain copy the correction is always on.
    """
    copied = copy.deepcopy(system)
    for old, new in zip(system.getForces(), copied.getForces(), strict=True):
        if type(old) is openmm.AmoebaVdwForce:
            new.setUseDispersionCorrection(old.getUseDispersionCorrection())
    return copied


def shorten_amoeba_terms(system: openmm.System) -> None:
    """Write AMOEBA's out-of-plane and in-plane angles in internal coordinates, in place.

    Energies and forces do not change. Forces whose energy is not that of OpenMM's AMOEBA builders
    stay as they are. CustomCompoundBondForces without terms are removed.

    Args:
        system: from OpenMM's ForceField or TinkerFiles. A force that is rewritten moves to the end
            of its list.
    """
    for index in reversed(range(system.getNumForces())):
        force = system.getForce(index)
        if type(force) is not openmm.CustomCompoundBondForce:
            continue
        energy = _shortened(force.getEnergyFunction())
        if energy is not None and force.getNumBonds():
            system.addForce(_copy_with(force, energy))
        if energy is not None or not force.getNumBonds():
            system.removeForce(index)


def _shortened(energy: str) -> str | None:
    """Return the same energy in internal coordinates, or None if it is not that of a builder."""
    text = re.sub(r"\s", "", energy)
    for pattern, variable, rest in _FORMS:
        match = pattern.fullmatch(text)
        if match is not None:
            powers = "".join(
                f"+({factor})*{variable}^{n}" for n, factor in enumerate(match.groups(), start=3)
            )
            return f"k*({variable}^2{powers}); {rest}"
    return None


def _copy_with(
    force: openmm.CustomCompoundBondForce, energy: str
) -> openmm.CustomCompoundBondForce:
    """Return a force with the same terms and another energy."""
    new = openmm.CustomCompoundBondForce(force.getNumParticlesPerBond(), energy)
    for index in range(force.getNumPerBondParameters()):
        new.addPerBondParameter(force.getPerBondParameterName(index))
    for index in range(force.getNumBonds()):
        new.addBond(*force.getBondParameters(index))
    new.setName(force.getName())
    new.setForceGroup(force.getForceGroup())
    new.setUsesPeriodicBoundaryConditions(force.usesPeriodicBoundaryConditions())
    return new

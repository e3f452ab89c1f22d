"""Bonded terms of any force class, parted into those inside a region and all others."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.errors import ForceFieldError

__all__ = ["BONDED", "CONNECTIVITY", "connect_region", "refuse_bare_bonds", "take_out_terms"]

#: Force classes made of terms over a few atoms each, and the XML element that lists the terms.
BONDED: dict[type[openmm.Force], str] = {
    openmm.HarmonicBondForce: "Bonds",
    openmm.HarmonicAngleForce: "Angles",
    openmm.PeriodicTorsionForce: "Torsions",
    openmm.RBTorsionForce: "Torsions",
    openmm.CMAPTorsionForce: "Torsions",
    openmm.CustomBondForce: "Bonds",
    openmm.CustomAngleForce: "Angles",
    openmm.CustomTorsionForce: "Torsions",
    openmm.CustomCompoundBondForce: "Bonds",
}
#: Name of the force that holds bonds of no strength.
CONNECTIVITY = "region connectivity"
# p1, p2, ... in all of them, but a1...a4 and b1...b4 for the two torsions of a CMAP.
_ATOM = re.compile(r"[pab]\d+")


def take_out_terms(system: openmm.System, region: NDArray[np.int64]) -> list[openmm.Force]:
    """Remove every term whose atoms all lie in the region, in place; return forces that hold them.

    Terms over atoms of the region and of the rest stay as they are.

    Args:
        system: the system to change. A force that loses terms moves to the end of its list.
        region: sorted atom indices.
    """
    taken = []
    for index in reversed(range(system.getNumForces())):
        force = system.getForce(index)
        if type(force) not in BONDED:
            continue
        rest, inside = _part(force, {str(atom) for atom in region.tolist()})
        if inside is not None:
            system.removeForce(index)
            system.addForce(rest)
            taken.append(inside)
    return taken[::-1]


def _part(force: openmm.Force, region: set[str]) -> tuple[openmm.Force, openmm.Force | None]:
    """Return a force with the terms that leave the region, and one with those inside, or None.

    OpenMM cannot remove a term, and what a term needs differs from class to class (energy
    expression, parameters, tables); its XML holds all of that in one form.
    """
    text = openmm.XmlSerializer.serialize(force)
    rest, inside = ElementTree.fromstring(text), ElementTree.fromstring(text)
    for root, wanted in ((rest, False), (inside, True)):
        terms = root.find(BONDED[type(force)])
        if terms is None:
            raise RuntimeError(f"OpenMM's XML of a {type(force).__name__} has changed")
        terms[:] = [term for term in terms if _is_inside(term, region) == wanted]
        if wanted and len(terms) == 0:
            return force, None
    return _read(rest), _read(inside)


def _is_inside(term: ElementTree.Element, region: set[str]) -> bool:
    return all(value in region for name, value in term.attrib.items() if _ATOM.fullmatch(name))


def _read(root: ElementTree.Element) -> openmm.Force:
    return openmm.XmlSerializer.deserialize(ElementTree.tostring(root, encoding="unicode"))


def connect_region(system: openmm.System, bonds: set[tuple[int, int]]) -> None:
    """Add zero-strength bonds, in place, so that OpenMM keeps the region's molecules together.

    OpenMM finds molecules from bonds and constraints: without any, barostats and trajectory
    writers would move every atom of the region on its own.

    Args:
        system: the system to change.
        bonds: pairs of atom indices.
    """
    if not bonds:
        return
    force = openmm.HarmonicBondForce()
    force.setName(CONNECTIVITY)
    for i, j in sorted(bonds):
        force.addBond(i, j, 0.1, 0.0)
    system.addForce(force)


def refuse_bare_bonds(released: list[tuple[int, int]], forces: list[openmm.Force]) -> None:
    """Refuse bonds whose constraint was their only description: the force field has no term.

    Args:
        released: pairs inside the region whose constraints were removed.
        forces: the bonded terms inside the region.

    Raises:
        ForceFieldError: there are such bonds.
    """
    held: set[tuple[int, int]] = set()
    for force in forces:
        if isinstance(force, (openmm.HarmonicBondForce, openmm.CustomBondForce)):
            pairs = (force.getBondParameters(i)[:2] for i in range(force.getNumBonds()))
            held.update((min(pair), max(pair)) for pair in pairs)
    bare = [pair for pair in released if pair not in held]
    if bare:
        raise ForceFieldError(
            f"{len(bare)} constrained bonds of the region (the first joins atoms {bare[0]}) have "
            "no bond term, so nothing but the network holds them; make the MM system with "
            "flexibleConstraints=True or without constraints, or take constraints='keep'"
        )

"""Divide bonded terms of any force class into those that the network describes and all others."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import openmm

from nnpmm.core.errors import ForceFieldError
from nnpmm.coupling.capped_terms import CappedTerms
from nnpmm.coupling.roles import Role
from nnpmm.structures.bonds import Pair, sorted_pair

__all__ = [
    "BONDED",
    "VALENCE",
    "connect_region",
    "refuse_missing_terms",
    "take_out_terms",
    "term_atoms",
]

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
#: `BONDED` and AMOEBA's own class: every force that describes fast motions in a molecule.
VALENCE: dict[type[openmm.Force], str] = {
    **BONDED,
    openmm.AmoebaTorsionTorsionForce: "TorsionTorsion",
}
# Attributes with the atoms of a term: p1, p2, ...; a1...a4 and b1...b4 in the torsions of a CMAP.
_ATOM = re.compile(r"[pab]\d+")


def take_out_terms(system: openmm.System, terms: CappedTerms) -> list[openmm.Force]:
    """Remove every term that the network describes, in place; return forces with these terms.

    Args:
        system: the system to change. A force that loses terms moves to the end of its list.
        terms: decides which terms these are.
    """
    taken = []
    for index in reversed(range(system.getNumForces())):
        force = system.getForce(index)
        if type(force) not in BONDED:
            continue
        rest, inside = _divide(force, terms)
        if inside is not None:
            system.removeForce(index)
            system.addForce(rest)
            taken.append(inside)
    return taken[::-1]


def _divide(force: openmm.Force, terms: CappedTerms) -> tuple[openmm.Force, openmm.Force | None]:
    """Return a force with the terms that stay, and one with the network's terms, if any.

    OpenMM cannot remove a term, and the data of a term differ between classes (energy expression,
    parameters, tables). The XML contains all of it in one form.
    """
    rest, inside = (
        ElementTree.fromstring(text) for text in 2 * [openmm.XmlSerializer.serialize(force)]
    )
    listed, wanted = (root.find(BONDED[type(force)]) for root in (rest, inside))
    if listed is None or wanted is None:
        raise RuntimeError(f"OpenMM's XML of a {type(force).__name__} has changed")
    included = [terms.include(_atoms(term)) for term in listed]
    if not any(included):
        return force, None
    listed[:] = [term for term, taken in zip(listed, included, strict=True) if not taken]
    wanted[:] = [term for term, taken in zip(wanted, included, strict=True) if taken]
    return _read(rest), _read(inside)


def term_atoms(force: openmm.Force) -> list[set[int]]:
    """Return the atoms of each term of a force of one of the classes in `BONDED`."""
    listed = ElementTree.fromstring(openmm.XmlSerializer.serialize(force)).find(BONDED[type(force)])
    return [] if listed is None else [_atoms(term) for term in listed]


def _atoms(term: ElementTree.Element) -> set[int]:
    return {int(value) for name, value in term.attrib.items() if _ATOM.fullmatch(name)}


def _read(root: ElementTree.Element) -> openmm.Force:
    return openmm.XmlSerializer.deserialize(ElementTree.tostring(root, encoding="unicode"))


def connect_region(system: openmm.System, bonds: set[tuple[int, int]]) -> None:
    """Add zero-strength bonds, in place, so that OpenMM keeps the region's molecules together.

    OpenMM finds molecules from bonds and constraints. Without them, barostats and trajectory
    writers would move every atom of the region separately.

    Args:
        system: the system to change.
        bonds: pairs of atom indices.
    """
    if not bonds:
        return
    force = openmm.HarmonicBondForce()
    force.setName(Role.CONNECTIVITY.value)
    for i, j in sorted(bonds):
        force.addBond(i, j, 0.1, 0.0)
    system.addForce(force)


def refuse_missing_terms(
    released: list[Pair], forces: list[openmm.Force], *, bonds: set[Pair], hydrogens: set[int]
) -> None:
    """Refuse removed constraints that were the only description of a bond or an angle.

    Args:
        released: pairs inside the region whose constraints were removed.
        forces: the bonded terms inside the region.
        bonds: inside the region; other released pairs are the ends of constrained angles.
        hydrogens: hydrogens of the region.

    Raises:
        ForceFieldError: the force field has no term for some of them.
    """
    stretched: set[Pair] = set()
    bent: set[Pair] = set()
    for force in forces:
        if isinstance(force, (openmm.HarmonicBondForce, openmm.CustomBondForce)):
            ends = (force.getBondParameters(i)[:2] for i in range(force.getNumBonds()))
            stretched |= {sorted_pair(*pair) for pair in ends}
        elif isinstance(force, (openmm.HarmonicAngleForce, openmm.CustomAngleForce)):
            ends = (force.getAngleParameters(i)[:3:2] for i in range(force.getNumAngles()))
            bent |= {sorted_pair(*pair) for pair in ends}
    # Two hydrogens are the ends of an angle, even if the topology lists no bonds (rigid water).
    angles = {pair for pair in released if pair not in bonds or hydrogens.issuperset(pair)}
    missing = [pair for pair in released if pair not in stretched | (bent & angles)]
    if missing:
        kind = "angle with its ends at" if missing[0] in angles else "bond between"
        to_hydrogen = all(len(hydrogens.intersection(pair)) == 1 for pair in missing)
        raise ForceFieldError(
            f"found {len(missing)} constraints of the region (the first is of the {kind} atoms "
            f"{missing[0]}) that have neither a bond nor an angle term, so only the network would "
            "keep them together; make the MM system with flexibleConstraints=True, or with "
            "neither constraints nor rigid water"
            + (", or use constraints='keep'" if to_hydrogen else "")
        )

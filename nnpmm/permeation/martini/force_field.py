"""Martini 2: interactions of bead types, and the molecules that are not solutes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from nnpmm.core.errors import ForceFieldError
from nnpmm.permeation.martini import tables

__all__ = [
    "Angle",
    "Bead",
    "Bond",
    "MoleculeType",
    "Role",
    "interaction",
    "lipid",
    "water",
]

Role = Literal["lipid", "solute", "water"]


@dataclass(frozen=True)
class Bead:
    """A bead: its name in the molecule, its Martini type and its charge in e."""

    name: str
    type: str
    charge: float = 0.0


@dataclass(frozen=True)
class Bond:
    """k/2 (r - length)^2 between beads ``i`` and ``j``; nm and kJ/mol/nm^2."""

    i: int
    j: int
    length: float = tables.BOND_LENGTH
    force_constant: float = tables.BOND_FORCE_CONSTANT


@dataclass(frozen=True)
class Angle:
    """k/2 (cos(theta) - cos(theta0))^2 at bead ``j``; degrees and kJ/mol."""

    i: int
    j: int
    k: int
    degrees: float
    force_constant: float


@dataclass(frozen=True)
class MoleculeType:
    """A kind of molecule; beads are numbered from 0, and bonded neighbours do not interact."""

    name: str
    role: Role
    beads: tuple[Bead, ...]
    bonds: tuple[Bond, ...] = ()
    angles: tuple[Angle, ...] = ()


@cache
def interaction(type_a: str, type_b: str) -> tuple[float, float]:
    """Return the well depth (kJ/mol) and diameter (nm) of the pair potential of two bead types.

    The potential is 4 epsilon ((sigma/r)^12 - (sigma/r)^6), before the switching that an engine
    applies (Marrink et al. 2007).

    Raises:
        ForceFieldError: a bead type is unknown.
    """
    for name in (type_a, type_b):
        if name not in tables.LEVEL_MATRIX and name != tables.ANTIFREEZE:
            raise ForceFieldError(
                f"found the bead type {name!r}, known types: {', '.join(tables.BEAD_TYPES)} and "
                f"{tables.ANTIFREEZE}"
            )
    if {type_a, type_b} == {tables.WATER, tables.ANTIFREEZE}:
        level = tables.ANTIFREEZE_WATER
    else:
        row, column = (tables.WATER if t == tables.ANTIFREEZE else t for t in (type_a, type_b))
        level = tables.LEVELS[int(tables.LEVEL_MATRIX[row][tables.BEAD_TYPES.index(column)])]
    return level.epsilon, level.sigma


def water(antifreeze: bool = False) -> MoleculeType:
    """Return the bead W that stands for four water molecules, or WF, which keeps it liquid."""
    name, kind = ("WF", tables.ANTIFREEZE) if antifreeze else ("W", tables.WATER)
    return MoleculeType(name, "water", (Bead(name, kind),))


def lipid(name: str) -> MoleculeType:
    """Return a phosphatidylcholine: choline, phosphate, two glycerol beads, tails A and B.

    Raises:
        ForceFieldError: the lipid is unknown.
    """
    if name not in tables.LIPID_TAILS:
        raise ForceFieldError(
            f"found the lipid {name!r}, known lipids: {', '.join(tables.LIPID_TAILS)}"
        )
    beads = [
        Bead("NC3", "Q0", tables.CHARGES["NC3"]),
        Bead("PO4", "Qa", tables.CHARGES["PO4"]),
        Bead("GL1", "Na"),
        Bead("GL2", "Na"),
    ]
    bonds = [Bond(0, 1), Bond(1, 2), Bond(2, 3, tables.GLYCEROL_BOND_LENGTH)]
    stiff = tables.ANGLES_AT_BEAD["C"]
    angles = [Angle(1, 2, 3, *tables.ANGLES_AT_BEAD["PO4-GL1-GL2"])]
    first_of_a = len(beads)
    angles.append(Angle(1, 2, first_of_a, *stiff))
    for glycerol, letter, tail in zip((2, 3), "AB", tables.LIPID_TAILS[name], strict=True):
        _add_tail(beads, bonds, angles, glycerol, letter, tail)
    return MoleculeType(name, "lipid", tuple(beads), tuple(bonds), tuple(angles))


def _add_tail(
    beads: list[Bead], bonds: list[Bond], angles: list[Angle], glycerol: int, letter: str, tail: str
) -> None:
    """Append a tail: C1 where saturated, C3 at a lone double bond, C4 where there are several."""
    unsaturated = "C3" if tail.count("D") == 1 else "C4"
    chain = [glycerol]
    for number, kind in enumerate(tail, start=1):
        chain.append(len(beads))
        beads.append(Bead(f"{kind}{number}{letter}", "C1" if kind == "C" else unsaturated))
        bonds.append(Bond(chain[-2], chain[-1]))
    for n in range(len(tail) - 1):
        kind = "C" if tail[n] == "C" else tail[n : n + 2]
        angles.append(Angle(chain[n], chain[n + 1], chain[n + 2], *tables.ANGLES_AT_BEAD[kind]))

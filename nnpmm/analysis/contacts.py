"""Contacts of a ligand with the residues of its receptor, frame by frame.

Every definition is geometric, with the thresholds of ProLIF 2 (Bouysset and Fiorucci, J. Cheminf.
2021, 13, 72) but for hydrogen bonds, which follow Baker and Hubbard (Prog. Biophys. Mol. Biol.
1984, 44, 97) as mdtraj does:

================  ================================================================================
contact           heavy atoms within 0.4 nm
hydrogen bond     D-H...A with N or O as D and A, H...A below 0.25 nm, angle at H above 120 degrees
hydrophobic       two carbons that are bonded to carbon and hydrogen alone, or a halogen or sulfur
                  with one of these, within 0.45 nm
ionic             atoms of opposite formal charge within 0.45 nm
pi stacking       centres of aromatic rings within 0.55 nm and planes at less than 35 degrees, or
                  within 0.65 nm and at more than 50 degrees; the line between the centres less
                  than 33 (30) degrees from one ring's normal
cation-pi         a positive atom within 0.45 nm of a ring's centre, less than 30 degrees from its
                  normal
================  ================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nnpmm.analysis.ligand import Ligand
from nnpmm.analysis.receptor_chemistry import cations_and_anions, residue_rings
from nnpmm.analysis.subjects import Subject

__all__ = ["KINDS", "ContactFinder"]

#: In the order of tables and pictures. Hydrogen bonds are divided by the donor.
KINDS = (
    "hydrogen bond, ligand donates",
    "hydrogen bond, ligand accepts",
    "ionic",
    "pi stacking",
    "cation-pi",
    "hydrophobic",
    "contact",
)
_DONATES, _ACCEPTS, _IONIC, _STACKING, _CATION_PI, _HYDROPHOBIC, _CONTACT = KINDS
_CONTACT_NM, _HYDROPHOBIC_NM, _IONIC_NM, _CATION_PI_NM = 0.40, 0.45, 0.45, 0.45
_HYDROGEN_BOND_NM, _HYDROGEN_BOND_COSINE = 0.25, np.cos(np.deg2rad(120.0))
_FACE = (0.55, np.cos(np.deg2rad(35.0)), np.cos(np.deg2rad(33.0)))
_EDGE = (0.65, np.cos(np.deg2rad(50.0)), np.cos(np.deg2rad(30.0)))
_CATION_PI_COSINE = np.cos(np.deg2rad(30.0))
_REACH = 0.7  # nm, longer than any of these distances

Found = dict[tuple[int, str], NDArray[np.bool_]]
_Positions = NDArray[np.float32]


class ContactFinder:
    """Finds the contacts between a ligand and the residues of the receptor.

    Args:
        subject: ligand and receptor.
        ligand: chemistry of the ligand.
    """

    def __init__(self, subject: Subject, ligand: Ligand) -> None:
        self._ligand = ligand
        n_atoms = len(subject.atoms)
        self._residue = np.full(n_atoms, -1)
        for index, residue in enumerate(subject.receptor):
            self._residue[residue.rows] = index
        neighbours: list[list[int]] = [[] for _ in range(n_atoms)]
        for i, j in subject.bonds.tolist():
            neighbours[i].append(j)
            neighbours[j].append(i)
        symbols = subject.symbols
        polar = [row for row in range(n_atoms) if symbols[row] in ("N", "O")]
        donors = [(d, h) for d in polar for h in neighbours[d] if symbols[h] == "H"]
        hydrophobic = [row for row in range(n_atoms) if _is_hydrophobic(row, symbols, neighbours)]
        inside = set(subject.ligand.tolist())
        self._heavy = _split(np.flatnonzero(subject.heavy).tolist(), inside)
        self._hydrophobic = _split(hydrophobic, inside)
        self._acceptors = _split(polar, inside)
        self._donors = [
            np.array([p for p in donors if (p[0] in inside) is own], dtype=np.int64).reshape(-1, 2)
            for own in (True, False)
        ]
        self._charged = cations_and_anions(subject, neighbours)
        self._rings = residue_rings(subject)

    def find(self, positions: _Positions) -> Found:
        """Return the frames (f,) of each contact that occurs, by index of the residue and kind.

        Args:
            positions: (f, n, 3) nm of the solute, whole and in one image.
        """
        near = self._near(positions)
        found: Found = {}
        for kind, rows, limit in (
            (_CONTACT, self._heavy, _CONTACT_NM),
            (_HYDROPHOBIC, self._hydrophobic, _HYDROPHOBIC_NM),
        ):
            other = rows[1][near[rows[1]]]
            self._record(found, kind, other, _closer(positions, rows[0], other, limit))
        self._hydrogen_bonds(positions, near, found)
        self._ionic(positions, near, found)
        self._stacking(positions, near, found)
        return found

    def _near(self, positions: _Positions) -> NDArray[np.bool_]:
        """Return which residues' atoms (n,) come close to the ligand in any of the frames."""
        own = positions[:, self._ligand.heavy]
        low, high = own.min(axis=1) - _REACH, own.max(axis=1) + _REACH
        inside = ((positions > low[:, None]) & (positions < high[:, None])).all(axis=-1)
        near = inside.any(axis=0)
        # All atoms of a residue, because rings and donors with hydrogens must be complete.
        chosen = np.unique(self._residue[near & (self._residue >= 0)])
        return np.isin(self._residue, chosen)

    def _record(
        self, found: Found, kind: str, rows: NDArray[np.int64], seen: NDArray[np.bool_]
    ) -> None:
        """Combine contacts (f, m) of m atoms by residue."""
        if not len(rows) or not np.any(seen):
            return
        for index in np.unique(self._residue[rows[seen.any(axis=0)]]).tolist():
            any_atom = np.asarray(seen[:, self._residue[rows] == index].any(axis=1))
            before = found.get((index, kind))
            found[index, kind] = any_atom if before is None else np.asarray(before | any_atom)

    def _hydrogen_bonds(self, positions: _Positions, near: NDArray[np.bool_], found: Found) -> None:
        outer = self._acceptors[1][near[self._acceptors[1]]]
        bonds = _hydrogen_bonds(positions, self._donors[0], outer)
        self._record(found, _DONATES, outer, np.asarray(bonds.any(axis=1)))
        donors = self._donors[1][near[self._donors[1][:, 0]]]
        bonds = _hydrogen_bonds(positions, donors, self._acceptors[0])
        self._record(found, _ACCEPTS, donors[:, 0], np.asarray(bonds.any(axis=2)))

    def _ionic(self, positions: _Positions, near: NDArray[np.bool_], found: Found) -> None:
        for sign, rows in ((1, self._charged[1]), (-1, self._charged[0])):
            own = np.array([r for r, q in self._ligand.charged.items() if q * sign > 0], dtype=int)
            other = rows[near[rows]]
            self._record(found, _IONIC, other, _closer(positions, own, other, _IONIC_NM))

    def _stacking(self, positions: _Positions, near: NDArray[np.bool_], found: Found) -> None:
        rings = [ring for ring in self._rings if near[ring[0]]]
        cations = self._charged[0][near[self._charged[0]]]
        own = np.array([r for r, q in self._ligand.charged.items() if q > 0], dtype=int)
        for first in self._ligand.rings:
            plane = _plane(positions, first)
            for second in rings:
                seen = _stacked(plane, _plane(positions, second))
                self._record(found, _STACKING, np.array(second[:1]), seen[:, None])
            if len(cations):
                seen = _over_ring(plane, positions[:, cations])
                self._record(found, _CATION_PI, cations, seen)
        for ring in rings if len(own) else ():
            seen = np.asarray(_over_ring(_plane(positions, ring), positions[:, own]).any(axis=1))
            self._record(found, _CATION_PI, np.array(ring[:1]), seen[:, None])


def _split(rows: Iterable[int], inside: set[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the ligand, and the others."""
    both = [row for row in rows if row in inside], [row for row in rows if row not in inside]
    return np.array(both[0], dtype=np.int64), np.array(both[1], dtype=np.int64)


def _is_hydrophobic(row: int, symbols: tuple[str, ...], neighbours: list[list[int]]) -> bool:
    symbol = symbols[row]
    if symbol in ("S", "Cl", "Br", "I"):
        return all(symbols[n] in ("C", "H", "S") for n in neighbours[row])
    return symbol == "C" and all(symbols[n] in ("C", "H") for n in neighbours[row])


def _closer(
    positions: _Positions, first: NDArray[np.int64], second: NDArray[np.int64], limit: float
) -> NDArray[np.bool_]:
    """Return whether any of the first atoms is within a distance of each second one, (f, m)."""
    seen = np.zeros((len(positions), len(second)), dtype=bool)
    other = positions[:, second]
    for row in first.tolist():
        seen |= ((other - positions[:, row, None]) ** 2).sum(axis=-1) < limit**2
    return seen


def _hydrogen_bonds(
    positions: _Positions, donors: NDArray[np.int64], acceptors: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return whether each donor and hydrogen (d, 2) is bonded to each acceptor, (f, d, a)."""
    hydrogen = positions[:, donors[:, 1], None]
    to_acceptor = positions[:, None, acceptors] - hydrogen
    square = (to_acceptor**2).sum(axis=-1)
    to_donor = positions[:, donors[:, 0], None] - hydrogen
    along = (to_acceptor * to_donor).sum(axis=-1)
    length = np.sqrt(square * (to_donor**2).sum(axis=-1))
    seen = (square < _HYDROGEN_BOND_NM**2) & (along < _HYDROGEN_BOND_COSINE * length)
    return np.asarray(seen)


def _plane(
    positions: _Positions, ring: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the centre and the normal (f, 3) of a ring."""
    points = positions[:, ring]
    center = points.mean(axis=1)
    arms = points - center[:, None]
    normal = np.cross(arms, np.roll(arms, -1, axis=1)).sum(axis=1)
    return center, normal / np.linalg.norm(normal, axis=-1, keepdims=True)


_Plane = tuple[NDArray[np.float32], NDArray[np.float32]]


def _stacked(first: _Plane, second: _Plane) -> NDArray[np.bool_]:
    away = second[0] - first[0]
    distance = np.linalg.norm(away, axis=-1)
    between = np.abs((first[1] * second[1]).sum(axis=-1))
    way = away / distance[:, None]
    lean = np.maximum(*(np.abs((plane[1] * way).sum(axis=-1)) for plane in (first, second)))
    face = (distance < _FACE[0]) & (between > _FACE[1]) & (lean > _FACE[2])
    edge = (distance < _EDGE[0]) & (between < _EDGE[1]) & (lean > _EDGE[2])
    return np.asarray(face | edge)


def _over_ring(plane: _Plane, atoms: _Positions) -> NDArray[np.bool_]:
    """Return whether each atom (f, m) is over a ring."""
    away = atoms - plane[0][:, None]
    distance = np.linalg.norm(away, axis=-1)
    lean = np.abs((away * plane[1][:, None]).sum(axis=-1)) / distance
    return np.asarray((distance < _CATION_PI_NM) & (lean > _CATION_PI_COSINE))

"""The formal charge of a molecule with all its hydrogens, from its bonds and bond lengths.

Every atom has one of the valence states of its element: the number of bonds beyond one to each
neighbour, and the corresponding formal charge. A total charge is possible if a consistent set of
states and multiple bonds exists. This is an integer program, whose solution does not depend on the
order of the atoms. Several charges can be possible: the bonds of paraquat allow 0 and +2. The bond
lengths then decide.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_matrix

__all__ = ["FormalCharge", "allows_charge", "bond_multiplicities", "perceive_charge"]

# Valence states of an element: total number of bonds and formal charge. States with more bonds than
# the octet allows are common for these elements.
_STATES: dict[str, tuple[tuple[int, int], ...]] = {
    "H": ((1, 0),),
    "B": ((3, 0), (4, -1)),
    "C": ((4, 0),),
    "N": ((2, -1), (3, 0), (4, 1)),
    "O": ((1, -1), (2, 0), (3, 1)),
    "F": ((0, -1), (1, 0)),
    "Si": ((4, 0),),
    "P": ((3, 0), (4, 1), (5, 0), (6, -1)),
    "S": ((1, -1), (2, 0), (3, 1), (4, 0), (6, 0)),
    "Cl": ((0, -1), (1, 0), (3, 0), (5, 0), (7, 0)),
    "As": ((3, 0), (4, 1), (5, 0)),
    "Se": ((1, -1), (2, 0), (3, 1), (4, 0), (6, 0)),
    "Br": ((0, -1), (1, 0), (3, 0), (5, 0)),
    "I": ((0, -1), (1, 0), (3, 0), (5, 0)),
}
# The carbon of isonitriles and of the cyanide ion.
_TERMINAL_CARBON = (3, -1)
# Covalent radii of single, double and triple bonds, angstrom (Pyykko and Atsumi, Chem. Eur. J.
# 2009, 15, 186 and 12770; Pyykko, Riedel, Patzschke, ibid. 2005, 11, 3511).
_RADII = {
    "B": (0.85, 0.78, 0.73),
    "C": (0.75, 0.67, 0.60),
    "N": (0.71, 0.60, 0.54),
    "O": (0.63, 0.57, 0.53),
    "Si": (1.16, 1.07, 1.02),
    "P": (1.11, 1.02, 0.94),
    "S": (1.03, 0.94, 0.95),
    "As": (1.21, 1.14, 1.06),
    "Se": (1.16, 1.07, 1.07),
}
_LARGEST_CHARGE = 4
# Degrees. Nitrogen with four bonds to two neighbours is sp-hybridised, as in nitronium and diazo
# groups; the other states of two-coordinate nitrogen bend to 104 (amide ion) to 135 degrees.
_SMALLEST_LINEAR = 150.0
# A charge is ambiguous if the bond orders of another one fit better by this much in sum.
_MARGIN = 1.0


@dataclass(frozen=True)
class FormalCharge:
    """The formal charge that follows from bonds and bond lengths.

    Attributes:
        charge: e, or None if it cannot be determined.
        possible: charges that could be meant, if it cannot be determined; empty if no charge gives
            every atom a normal valence.
    """

    charge: int | None
    possible: tuple[int, ...] = ()


def perceive_charge(
    symbols: Sequence[str],
    bonds: NDArray[np.int64],
    positions: NDArray[np.float64] | None = None,
) -> FormalCharge:
    """Return the formal charge of one molecule.

    It is the smallest charge for which every atom has a normal valence. It cannot be determined if
    the bond lengths fit another charge clearly better, or fit two opposite charges equally well.
    Carbon is charged only in isonitriles and cyanide.

    Args:
        symbols: chemical symbols, n of them.
        bonds: pairs of row numbers, (m, 2), including the bonds of all hydrogens.
        positions: (n, 3), nm, not split by the boundary; None to use no bond lengths.
    """
    if not set(symbols) <= set(_STATES):
        return FormalCharge(None)
    bent = set() if positions is None else _bent_atoms(bonds, positions)
    program = _Program(symbols, bonds, bent)
    possible = [
        charge
        for size in range(_LARGEST_CHARGE + 1)
        for charge in ((size, -size) if size else (0,))
        if program.allows(charge)
    ]
    if not possible:
        return FormalCharge(None)
    smallest = [charge for charge in possible if abs(charge) == abs(possible[0])]
    if positions is None:
        return FormalCharge(smallest[0]) if len(smallest) == 1 else FormalCharge(None, (*smallest,))
    observed = bond_multiplicities(symbols, bonds, positions)
    misfits = {charge: program.misfit(charge, observed) for charge in possible}
    best = min(smallest, key=lambda charge: (misfits[charge], charge))
    others = [c for c in possible if misfits[c] < misfits[best] - _MARGIN]
    others += [c for c in smallest if misfits[c] < misfits[best] + _MARGIN]
    if set(others) - {best}:
        return FormalCharge(None, tuple(sorted({best, *others})))
    return FormalCharge(best)


def allows_charge(symbols: Sequence[str], bonds: NDArray[np.int64], charge: int) -> bool:
    """Return whether a molecule can have a formal charge with a normal valence of every atom.

    Args:
        symbols: chemical symbols, n of them; the result is False if one is not in the table here.
        bonds: pairs of row numbers, (m, 2), including the bonds of all hydrogens.
        charge: e.
    """
    return set(symbols) <= set(_STATES) and _Program(symbols, bonds).allows(charge)


def _bent_atoms(bonds: NDArray[np.int64], positions: NDArray[np.float64]) -> set[int]:
    """Return the atoms with two neighbours whose angle excludes sp hybridisation."""
    neighbours: dict[int, list[int]] = {}
    for i, j in bonds.tolist():
        neighbours.setdefault(i, []).append(j)
        neighbours.setdefault(j, []).append(i)
    bent = set()
    for atom, others in neighbours.items():
        if len(others) == 2:
            first, second = positions[others] - positions[atom]
            cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
            if cosine > np.cos(np.radians(_SMALLEST_LINEAR)):
                bent.add(atom)
    return bent


def bond_multiplicities(
    symbols: Sequence[str], bonds: NDArray[np.int64], positions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each bond's order less 1, from 0 to 2, interpolated from its length, (m,).

    It is nan for bonds to hydrogen and halogens, which are always single.

    Args:
        symbols: chemical symbols, n of them.
        bonds: pairs of row numbers, (m, 2).
        positions: (n, 3), nm, not split by the boundary.
    """
    found = np.full(len(bonds), np.nan)
    for row, (i, j) in enumerate(bonds.tolist()):
        first, second = _RADII.get(symbols[i]), _RADII.get(symbols[j])
        if first is None or second is None:
            continue
        single, double, triple = (a + b for a, b in zip(first, second, strict=True))
        length = 10 * float(np.linalg.norm(positions[i] - positions[j]))  # angstrom
        # Sulphur's radii are not monotonic; np.interp requires rising lengths.
        found[row] = np.interp(-length, (-single, -double, -min(triple, double - 0.05)), (0, 1, 2))
    return found


class _Program:
    """A mixed-integer program for the valence state of each atom and the order of each bond.

    Its variables are, in this order, the weight from 0 to 1 of each state of each atom, the order
    of each bond less 1, from 0 to 2, and the difference of this from the observed value.
    """

    def __init__(
        self, symbols: Sequence[str], bonds: NDArray[np.int64], bent: Collection[int] = ()
    ) -> None:
        degrees = np.bincount(bonds.ravel(), minlength=len(symbols))
        self.owners: list[int] = []
        self.extras: list[int] = []
        self.charges: list[int] = []
        for atom, symbol in enumerate(symbols):
            states = _STATES[symbol]
            if symbol == "C" and degrees[atom] == 1 and _bonded_to_nitrogen(atom, symbols, bonds):
                states = (*states, _TERMINAL_CARBON)
            for total, charge in states:
                if atom in bent and (symbol, total) == ("N", 4):
                    continue
                if total >= degrees[atom]:
                    self.owners.append(atom)
                    self.extras.append(total - int(degrees[atom]))
                    self.charges.append(charge)
        self.n_atoms, self.n_states, self.bonds = len(symbols), len(self.owners), bonds
        self.hydrogen_bonds = np.array(
            [1.0 if "H" in (symbols[i], symbols[j]) else 0.0 for i, j in bonds.tolist()]
        )

    def allows(self, charge: int) -> bool:
        """Return whether states and integer bond orders exist that add up to a charge."""
        size = self.n_states + len(self.bonds)
        matrix, low = self._balance(size, charge)
        return bool(
            milp(
                np.zeros(size),
                constraints=LinearConstraint(matrix.tocsr(), low, low),
                integrality=np.ones(size),
                bounds=Bounds(0, self._upper()),
            ).success
        )

    def misfit(self, charge: int, observed: NDArray[np.float64]) -> float:
        """Return the smallest possible sum of differences between bond orders and observed ones.

        Here states may be mixed, as in the resonance forms of a nitro group or an aromatic ring.
        """
        n_bonds = len(self.bonds)
        size = self.n_states + 2 * n_bonds
        matrix, low = self._balance(size, charge)
        high = low.copy()
        deviations = lil_matrix((2 * n_bonds, size))
        for row in range(n_bonds):
            for side, sign in ((row, 1.0), (n_bonds + row, -1.0)):
                deviations[side, self.n_states + row] = sign
                deviations[side, self.n_states + n_bonds + row] = -1.0
        known = np.isfinite(observed)
        target = np.where(known, observed, 0.0)
        limits = np.concatenate([target, -target])
        cost = np.concatenate([np.zeros(self.n_states + n_bonds), known.astype(float)])
        found = milp(
            cost,
            constraints=[
                LinearConstraint(matrix.tocsr(), low, high),
                LinearConstraint(deviations.tocsr(), -np.inf, limits),
            ],
            bounds=Bounds(0, np.concatenate([self._upper(), np.full(n_bonds, 4.0)])),
        )
        return float(found.fun) if found.success else np.inf

    def _upper(self) -> NDArray[np.float64]:
        """Return the upper bounds of state weights and of bond orders less 1."""
        return np.concatenate([np.ones(self.n_states), 2.0 * (1 - self.hydrogen_bonds)])

    def _balance(self, size: int, charge: int) -> tuple[lil_matrix, NDArray[np.float64]]:
        """Return the equations: one state per atom, its bonds, and the total charge."""
        matrix = lil_matrix((2 * self.n_atoms + 1, size))
        for column, (atom, extra, formal) in enumerate(
            zip(self.owners, self.extras, self.charges, strict=True)
        ):
            matrix[atom, column] = 1.0
            matrix[self.n_atoms + atom, column] = -float(extra)
            matrix[2 * self.n_atoms, column] = float(formal)
        for column, pair in enumerate(self.bonds.tolist(), start=self.n_states):
            for atom in pair:
                matrix[self.n_atoms + atom, column] = 1.0
        right = np.concatenate([np.ones(self.n_atoms), np.zeros(self.n_atoms), [float(charge)]])
        return matrix, right


def _bonded_to_nitrogen(atom: int, symbols: Sequence[str], bonds: NDArray[np.int64]) -> bool:
    return any(
        symbols[other] == "N"
        for i, j in bonds.tolist()
        for mine, other in ((i, j), (j, i))
        if mine == atom
    )

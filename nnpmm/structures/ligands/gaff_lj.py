"""Lennard-Jones parameters of GAFF 1.x by SMARTS.

In GAFF 1.x the Lennard-Jones parameters of C, N, O, S and P depend on little more than the element
and the number of bonded atoms; those of hydrogen depend on its neighbour and on how many
electron-withdrawing atoms sit on that neighbour. So a short table is enough. Names are those of
GAFF's Lennard-Jones classes: ``c2`` stands for every three-coordinate carbon (c, c2, ca, cc, ...),
``n`` for every nitrogen, and so on.

References:
    J. Wang, R. M. Wolf, J. W. Caldwell, P. A. Kollman, D. A. Case, J. Comput. Chem. 2004, 25, 1157;
    the well depths of sp carbon and of sp3 carbon in three- and four-membered rings (cx), and both
    parameters of Br and I, as in the parameter files of GAFF 1.4 and later.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from rdkit import Chem

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ForceFieldError

__all__ = ["LJ_TABLE", "LennardJonesType", "lennard_jones"]

_NM_PER_ANGSTROM = 0.1
_SIGMA_PER_RMIN = 2.0 ** (-1.0 / 6.0)

# Electron-withdrawing neighbours as GAFF's typing counts them.
_EW = "#7,#8,#9,#16,#17,#35,#53"


class LennardJonesType(NamedTuple):
    """One row: the first row whose SMARTS matches an atom (as its first atom) gives its type."""

    smarts: str
    name: str
    half_rmin_angstrom: float
    epsilon_kcal: float


LJ_TABLE: tuple[LennardJonesType, ...] = (
    LennardJonesType("[#1X1;$([#1][#7])]", "hn", 0.6000, 0.0157),
    LennardJonesType("[#1X1;$([#1][#8])]", "ho", 0.0000, 0.0000),
    LennardJonesType("[#1X1;$([#1][#16])]", "hs", 0.6000, 0.0157),
    LennardJonesType("[#1X1;$([#1][#15])]", "hp", 0.6000, 0.0157),
    LennardJonesType("[#1X1;$([#1][#6][#7X4])]", "hx", 1.1000, 0.0157),
    LennardJonesType(f"[#1X1;$([#1][#6X4]([{_EW}])([{_EW}])[{_EW}])]", "h3", 1.1870, 0.0157),
    LennardJonesType(f"[#1X1;$([#1][#6X4]([{_EW}])[{_EW}])]", "h2", 1.2870, 0.0157),
    LennardJonesType(f"[#1X1;$([#1][#6X4][{_EW}])]", "h1", 1.3870, 0.0157),
    LennardJonesType("[#1X1;$([#1][#6X4])]", "hc", 1.4870, 0.0157),
    LennardJonesType(f"[#1X1;$([#1][#6X3](~[{_EW}])~[{_EW}])]", "h5", 1.3590, 0.0150),
    LennardJonesType(f"[#1X1;$([#1][#6X3]~[{_EW}])]", "h4", 1.4090, 0.0150),
    LennardJonesType("[#1X1;$([#1][#6])]", "ha", 1.4590, 0.0150),
    LennardJonesType("[#6X4;r3,r4]", "cx", 1.9080, 0.0860),
    LennardJonesType("[#6X4]", "c3", 1.9080, 0.1094),
    LennardJonesType("[#6X3]", "c2", 1.9080, 0.0860),
    LennardJonesType("[#6X2,#6X1]", "c1", 1.9080, 0.2100),
    LennardJonesType("[#7]", "n", 1.8240, 0.1700),
    LennardJonesType("[#8X1]", "o", 1.6612, 0.2100),
    LennardJonesType("[#8X2;$([#8]([#1])[#1])]", "ow", 1.7683, 0.1520),
    LennardJonesType("[#8X2;$([#8][#1])]", "oh", 1.7210, 0.2104),
    LennardJonesType("[#8X2]", "os", 1.6837, 0.1700),
    LennardJonesType("[#16]", "s", 2.0000, 0.2500),
    LennardJonesType("[#15]", "p5", 2.1000, 0.2000),
    LennardJonesType("[#9X1]", "f", 1.7500, 0.0610),
    LennardJonesType("[#17X1]", "cl", 1.9480, 0.2650),
    LennardJonesType("[#35X1]", "br", 2.0200, 0.4200),
    LennardJonesType("[#53X1]", "i", 2.1500, 0.5000),
)


def lennard_jones(molecule: Chem.Mol) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Assign GAFF 1.x Lennard-Jones parameters.

    ``sigma = 2 (Rmin/2) / 2^(1/6)``.

    Args:
        molecule: a sanitised molecule of n atoms, hydrogens explicit.

    Returns:
        Names (n), sigma (n,) in nm, epsilon (n,) in kJ/mol.

    Raises:
        ForceFieldError: an atom that no row of the table describes; atom and element are named.
    """
    rows: list[LennardJonesType | None] = [None] * molecule.GetNumAtoms()
    for row, pattern in zip(LJ_TABLE, _patterns(), strict=True):
        for match in molecule.GetSubstructMatches(pattern, maxMatches=molecule.GetNumAtoms() + 1):
            if rows[match[0]] is None:
                rows[match[0]] = row
    assigned = [row for row in rows if row is not None]
    if len(assigned) < len(rows):
        raise ForceFieldError(_unknown_atom(molecule, rows.index(None)))
    half_rmin = np.array([row.half_rmin_angstrom for row in assigned])
    epsilon = np.array([row.epsilon_kcal for row in assigned])
    sigma = half_rmin * 2.0 * _SIGMA_PER_RMIN * _NM_PER_ANGSTROM
    return tuple(row.name for row in assigned), sigma, epsilon * KJ_PER_KCAL


@lru_cache(maxsize=1)
def _patterns() -> tuple[Chem.Mol, ...]:
    return tuple(Chem.MolFromSmarts(row.smarts) for row in LJ_TABLE)


def _unknown_atom(molecule: Chem.Mol, index: int) -> str:
    atom = molecule.GetAtomWithIdx(index)
    return (
        f"found atom {index}, element {atom.GetSymbol()} with {atom.GetDegree()} bonds, which the "
        "Lennard-Jones table does not describe; allowed are H C N O F P S Cl Br I in common "
        "bonding; use provider='openff' or another force field"
    )

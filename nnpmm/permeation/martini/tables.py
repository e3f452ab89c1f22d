"""Parameters of the Martini 2 force field, as compact tables.

Interaction levels, the matrix of levels between bead types, bonds, angles, tails and mass are those
published in:

References:
    S. J. Marrink, H. J. Risselada, S. Yefimov, D. P. Tieleman, A. H. de Vries, J. Phys. Chem. B
    2007, 111, 7812 (beads, levels, water and antifreeze);
    S. J. Marrink, A. H. de Vries, A. E. Mark, J. Phys. Chem. B 2004, 108, 750, and
    T. A. Wassenaar et al., J. Chem. Theory Comput. 2015, 11, 2144 (lipids).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "ANGLES_AT_BEAD",
    "ANTIFREEZE",
    "ANTIFREEZE_WATER",
    "BEAD_MASS",
    "BEAD_TYPES",
    "BOND_FORCE_CONSTANT",
    "BOND_LENGTH",
    "CHARGES",
    "GLYCEROL_BOND_LENGTH",
    "LEVELS",
    "LEVEL_MATRIX",
    "LIPID_TAILS",
    "NEUTRAL_BEADS",
    "WATER",
    "AngleParameters",
    "Level",
]


class Level(NamedTuple):
    """An interaction level: its name, well depth in kJ/mol and bead diameter in nm."""

    name: str
    epsilon: float
    sigma: float


#: From supra attractive (O) to super repulsive (IX).
LEVELS: tuple[Level, ...] = (
    Level("O", 5.6, 0.47),
    Level("I", 5.0, 0.47),
    Level("II", 4.5, 0.47),
    Level("III", 4.0, 0.47),
    Level("IV", 3.5, 0.47),
    Level("V", 3.1, 0.47),
    Level("VI", 2.7, 0.47),
    Level("VII", 2.3, 0.47),
    Level("VIII", 2.0, 0.47),
    Level("IX", 2.0, 0.62),  # charged beads with the most apolar ones
)

#: Polar (P), intermediate (N), apolar (C) and charged (Q); d donor, a acceptor, da both, 0 none.
BEAD_TYPES: tuple[str, ...] = (
    *("P5", "P4", "P3", "P2", "P1"),
    *("Nda", "Nd", "Na", "N0"),
    *("C5", "C4", "C3", "C2", "C1"),
    *("Qda", "Qd", "Qa", "Q0"),
)

NEUTRAL_BEADS: tuple[str, ...] = BEAD_TYPES[:14]

#: One row for each of ``BEAD_TYPES``; the digit in a column is the index of a level in ``LEVELS``.
LEVEL_MATRIX: dict[str, str] = {
    "P5": "000001114566780001",
    "P4": "011223334566780000",
    "P3": "011222224455670001",
    "P2": "022222223445671112",
    "P1": "022222223444561113",
    "Nda": "132222224456661113",
    "Nd": "132222324456661313",
    "Na": "132222234456661133",
    "N0": "444334444444564444",
    "C5": "554444444444555555",
    "C4": "665445554444556666",
    "C3": "665546664444447777",
    "C2": "776656665554449999",
    "C1": "887766666554449999",
    "Qda": "000111114567990002",
    "Qd": "000111314567990102",
    "Qa": "000111134567990012",
    "Q0": "101233334567992224",
}

WATER = "P4"
#: Antifreeze interacts with every bead as P4 does, except with P4 itself.
ANTIFREEZE = "BP4"
ANTIFREEZE_WATER = Level("O", 5.6, 0.57)

BEAD_MASS = 72.0  # amu
BOND_LENGTH = 0.47  # nm
GLYCEROL_BOND_LENGTH = 0.37  # nm
BOND_FORCE_CONSTANT = 1250.0  # kJ/mol/nm^2

#: Charges of the lipid head beads, in elementary charges.
CHARGES: dict[str, float] = {"NC3": 1.0, "PO4": -1.0}


class AngleParameters(NamedTuple):
    """Equilibrium angle in degrees and force constant in kJ/mol of a bending on cos(theta)."""

    degrees: float
    force_constant: float


#: Bending at a tail bead, by the kind of this bead and of the next one towards the end.
ANGLES_AT_BEAD: dict[str, AngleParameters] = {
    "C": AngleParameters(180.0, 25.0),
    "DC": AngleParameters(120.0, 45.0),
    "DD": AngleParameters(100.0, 10.0),
    "PO4-GL1-GL2": AngleParameters(120.0, 25.0),
}

#: Tails A and B of the phosphatidylcholines, from the glycerol outwards: C saturated, D with a
#: double bond.
LIPID_TAILS: dict[str, tuple[str, str]] = {
    "DPPC": ("CCCC", "CCCC"),
    "DOPC": ("CDCC", "CDCC"),
    "POPC": ("CDCC", "CCCC"),
    "DLPC": ("CCC", "CCC"),
    "DAPC": ("DDDDC", "DDDDC"),
    "DIPC": ("CDDC", "CDDC"),
}

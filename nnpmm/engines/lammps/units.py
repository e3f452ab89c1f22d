"""LAMMPS' units real (angstrom, fs, kcal/mol, atm) in those of nnpmm."""

from __future__ import annotations

from nnpmm.core.constants import KJ_PER_KCAL

__all__ = ["BAR_PER_ATM", "FORCE_UNIT", "NM_PER_ANGSTROM", "PS_PER_FS"]

NM_PER_ANGSTROM = 0.1
PS_PER_FS = 1e-3
BAR_PER_ATM = 1.01325
#: kJ/mol/nm in one kcal/mol/angstrom.
FORCE_UNIT = KJ_PER_KCAL / NM_PER_ANGSTROM

"""Charges and valence terms of MMFF94, as rdkit types them, in OpenMM's functional forms.

MMFF94 (T. A. Halgren, J. Comput. Chem. 1996, 17, 490-519, 520-552, 553-586, 616-641) is anharmonic
and has cross terms. This module keeps the second-order parts of bonds and angles, the complete
torsions, and the out-of-plane terms to second order. It leaves out the cubic and quartic parts and
the stretch-bend terms.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ForceFieldError

__all__ = [
    "angle_terms",
    "bond_charges",
    "bond_terms",
    "improper_terms",
    "mmff_properties",
    "torsion_terms",
]

#: Conversion from mdyne angstrom to kcal/mol, with the digits that Halgren published.
MDYNE_ANGSTROM_IN_KCAL = 143.9325
_NM_PER_ANGSTROM = 0.1
_BENT = (Chem.HybridizationType.SP2, Chem.HybridizationType.SP3)

Bond = tuple[int, int, float, float]
Angle = tuple[int, int, int, float, float]
Torsion = tuple[int, int, int, int, int, float, float]


def mmff_properties(molecule: Chem.Mol) -> Any:
    """Return rdkit's MMFF94 typing of a molecule.

    Raises:
        ForceFieldError: MMFF94 has no atom type for one of the atoms.
    """
    with rdBase.BlockLogs():
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule, mmffVariant="MMFF94")
    if properties is None:
        found = ", ".join(
            f"{atom.GetIdx()} ({atom.GetSymbol()}, charge {atom.GetFormalCharge():+d})"
            for atom in _suspects(molecule)
        )
        raise ForceFieldError(
            f"found a molecule that MMFF94 cannot type, look at atoms {found}; check bond orders "
            "and charges, or use provider='openff'"
        )
    return properties


def bond_charges(molecule: Chem.Mol, properties: Any) -> np.ndarray:
    """Return MMFF94's bond-charge-increment charges, (n,) in e (Halgren 1996, part II, eq. 15)."""
    n_atoms = molecule.GetNumAtoms()
    return np.array([properties.GetMMFFPartialCharge(i) for i in range(n_atoms)], dtype=np.float64)


def bond_terms(molecule: Chem.Mol, properties: Any) -> tuple[Bond, ...]:
    """Return the harmonic part of MMFF94's bond stretching.

    ``E = 143.9325 kb/2 (r - r0)^2 (1 + ...)`` in kcal/mol and angstrom becomes OpenMM's
    ``k/2 (r - r0)^2``.

    Returns:
        (i, j, r0 in nm, k in kJ/mol/nm^2) per bond.
    """
    to_md = MDYNE_ANGSTROM_IN_KCAL * KJ_PER_KCAL / _NM_PER_ANGSTROM**2
    terms = []
    for bond in molecule.GetBonds():
        i, j = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        _, force_constant, length = _required(
            properties.GetMMFFBondStretchParams(molecule, i, j), molecule, "bond", (i, j)
        )
        terms.append((i, j, length * _NM_PER_ANGSTROM, force_constant * to_md))
    return tuple(sorted(terms))


def angle_terms(molecule: Chem.Mol, properties: Any) -> tuple[Angle, ...]:
    """Return the harmonic part of MMFF94's angle bending.

    ``E = 143.9325 ka/2 (t - t0)^2 (1 + ...)`` in kcal/mol and radian; MMFF94's
    ``143.9325 ka (1 + cos t)`` of linear atoms has the same second order around pi.

    Returns:
        (i, j, k, t0 in rad, k in kJ/mol/rad^2) per angle, j the centre.
    """
    to_md = MDYNE_ANGSTROM_IN_KCAL * KJ_PER_KCAL
    terms = []
    for centre in molecule.GetAtoms():
        j = centre.GetIdx()
        for i, k in itertools.combinations(_neighbours(centre), 2):
            _, force_constant, angle = _required(
                properties.GetMMFFAngleBendParams(molecule, i, j, k), molecule, "angle", (i, j, k)
            )
            terms.append((i, j, k, math.radians(angle), force_constant * to_md))
    return tuple(sorted(terms))


def torsion_terms(molecule: Chem.Mol, properties: Any) -> tuple[Torsion, ...]:
    """Return MMFF94's torsions, exactly.

    ``E = 1/2 [V1 (1 + cos w) + V2 (1 - cos 2w) + V3 (1 + cos 3w)]``; terms of zero are left out.

    Returns:
        (i, j, k, l, periodicity, phase in rad, k in kJ/mol) per term.
    """
    terms = []
    for bond in molecule.GetBonds():
        second, third = bond.GetBeginAtom(), bond.GetEndAtom()
        if second.GetHybridization() not in _BENT or third.GetHybridization() not in _BENT:
            continue
        j, k = second.GetIdx(), third.GetIdx()
        for i, m in itertools.product(_neighbours(second), _neighbours(third)):
            if i == k or m == j or i == m:
                continue
            found = properties.GetMMFFTorsionParams(molecule, i, j, k, m)
            if found is None:
                continue
            atoms = (i, j, k, m) if i < m else (m, k, j, i)
            for periodicity, barrier in enumerate(found[1:], start=1):
                phase = math.pi if periodicity == 2 else 0.0
                if barrier != 0.0:
                    terms.append((*atoms, periodicity, phase, 0.5 * barrier * KJ_PER_KCAL))
    return tuple(sorted(terms))


def improper_terms(molecule: Chem.Mol, properties: Any) -> tuple[Torsion, ...]:
    r"""Return MMFF94's out-of-plane bending as one improper torsion per three-coordinate atom.

    MMFF94 has ``c/2 (chi_i^2 + chi_j^2 + chi_l^2)`` with the three Wilson angles of centre m and
    ``c = 143.9325 koop``. With T the triple product of the unit bond vectors,
    ``sin chi_l = T / sin t_ij`` and the improper dihedral i-j-m-l has
    ``sin w = T / (sin t_ij sin t_jl)``. So ``K (1 - cos 2w) = 2 K sin^2 w`` equals the sum to
    second order in T if
    ``K = c/4 sin^2 t_ij sin^2 t_jl (1/sin^2 t_ij + 1/sin^2 t_jl + 1/sin^2 t_il)``, with MMFF94's
    reference angles t.

    Returns:
        (i, j, m, l, 2, pi, K in kJ/mol) per centre m with koop different from zero.
    """
    rank = list(Chem.CanonicalRankAtoms(molecule, breakTies=False))
    terms = []
    for centre in molecule.GetAtoms():
        if centre.GetDegree() != 3:
            continue
        m = centre.GetIdx()
        i, j, k = sorted(_neighbours(centre), key=lambda index: (rank[index], index))
        koop = properties.GetMMFFOopBendParams(molecule, i, m, j, k)
        if not koop:
            continue
        ij, jk, ik = (
            math.sin(math.radians(properties.GetMMFFAngleBendParams(molecule, a, m, b)[2])) ** 2
            for a, b in ((i, j), (j, k), (i, k))
        )
        strength = MDYNE_ANGSTROM_IN_KCAL * koop / 4 * ij * jk * (1 / ij + 1 / jk + 1 / ik)
        terms.append((i, j, m, k, 2, math.pi, strength * KJ_PER_KCAL))
    return tuple(sorted(terms))


def _neighbours(atom: Chem.Atom) -> list[int]:
    return sorted(neighbour.GetIdx() for neighbour in atom.GetNeighbors())


def _required(found: Any, molecule: Chem.Mol, term: str, atoms: tuple[int, ...]) -> Any:
    if found is None:
        names = "-".join(f"{molecule.GetAtomWithIdx(i).GetSymbol()}{i}" for i in atoms)
        raise ForceFieldError(
            f"found no MMFF94 {term} parameters for {names}; check bond orders and charges, or use "
            "provider='openff'"
        )
    return found


def _suspects(molecule: Chem.Mol) -> list[Chem.Atom]:
    charged = [atom for atom in molecule.GetAtoms() if atom.GetFormalCharge()]
    return charged or [atom for atom in molecule.GetAtoms() if atom.GetSymbol() not in "CH"]

"""A molecule's force field as Amber's frcmod and mol2 files, every atom with its own type.

GAFF's atom types cannot describe refitted torsions, because the same four types also match torsions
in rings and in other molecules.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Iterable

import numpy as np
from rdkit import Chem

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ForceFieldError
from nnpmm.structures import LigandParameters
from nnpmm.structures.ligands.openmm_system import to_openmm_topology
from nnpmm.torsions.internal import torsions_about

__all__ = ["amber_types", "frcmod_text", "mol2_text"]

# No atom type of GAFF or of Amber's biomolecular force fields begins with one of these letters.
_FIRST, _SECOND = "zyquvx", string.digits + string.ascii_uppercase
_ANGSTROM_PER_NM = 10.0
_RMIN_PER_SIGMA = 2.0 ** (1.0 / 6.0)
_ORDERS = {1.0: "1", 1.5: "ar", 2.0: "2", 3.0: "3"}


def amber_types(n_atoms: int) -> tuple[str, ...]:
    """Return the given number of two-character atom types.

    Raises:
        ForceFieldError: more atoms than there are types.
    """
    types = tuple(a + b for a, b in itertools.product(_FIRST, _SECOND))
    if n_atoms > len(types):
        raise ForceFieldError(f"found {n_atoms} atoms, a frcmod file allows {len(types)} types")
    return types[:n_atoms]


def frcmod_text(molecule: Chem.Mol, parameters: LigandParameters) -> str:
    """Return a frcmod file with all parameters of a molecule, for types of `amber_types`.

    Amber's forms are ``K (r - r0)^2``, ``K (t - t0)^2``, ``K (1 + cos(n w - phase))`` and
    ``Rmin/2``, in kcal/mol and angstrom.

    Args:
        molecule: n atoms.
        parameters: of the same atoms.

    Raises:
        ForceFieldError: too many atoms, or impropers that have their centre first, three for each,
            as SMIRNOFF force fields do: Amber has one for each centre.
    """
    types = amber_types(molecule.GetNumAtoms())
    table = Chem.GetPeriodicTable()
    masses = [table.GetAtomicWeight(atom.GetAtomicNum()) for atom in molecule.GetAtoms()]
    lines = ["torsions refitted by nnpmm", "MASS"]
    lines += [f"{name} {mass:.4f}" for name, mass in zip(types, masses, strict=True)]
    lines += ["", "BOND"]
    for i, j, length, stiffness in parameters.bonds:
        strength = 0.5 * stiffness / KJ_PER_KCAL / _ANGSTROM_PER_NM**2
        lines.append(f"{_joined(types, (i, j))} {strength:.5f} {length * _ANGSTROM_PER_NM:.6f}")
    lines += ["", "ANGLE"]
    for i, j, m, angle, stiffness in parameters.angles:
        strength = 0.5 * stiffness / KJ_PER_KCAL
        lines.append(f"{_joined(types, (i, j, m))} {strength:.5f} {math.degrees(angle):.5f}")
    lines += ["", "DIHE", *_dihedrals(molecule, parameters, types)]
    lines += ["", "IMPROPER", *_impropers(molecule, parameters, types), "", "NONB"]
    half_rmin = 0.5 * _RMIN_PER_SIGMA * _ANGSTROM_PER_NM * np.asarray(parameters.sigma)
    depths = np.asarray(parameters.epsilon) / KJ_PER_KCAL
    lines += [
        f"{name} {r:.6f} {e:.6f}" for name, r, e in zip(types, half_rmin, depths, strict=True)
    ]
    return "\n".join([*lines, "", ""])


def mol2_text(molecule: Chem.Mol, parameters: LigandParameters, residue_name: str = "MOL") -> str:
    """Return a mol2 file with the molecule's charges and types of `amber_types`.

    Args:
        molecule: n atoms with a conformer.
        parameters: of the same atoms.
        residue_name: name of the only residue.
    """
    types = amber_types(molecule.GetNumAtoms())
    topology, positions = to_openmm_topology(molecule, residue_name)
    lines = ["@<TRIPOS>MOLECULE", residue_name]
    lines += [f"{len(types)} {molecule.GetNumBonds()} 1 0 0", "SMALL", "USER_CHARGES"]
    lines.append("@<TRIPOS>ATOM")
    for atom, position in zip(topology.atoms(), positions, strict=True):
        x, y, z = _ANGSTROM_PER_NM * position
        charge = float(parameters.charges[atom.index])
        lines.append(
            f"{atom.index + 1:5d} {atom.name:<6} {x:10.4f} {y:10.4f} {z:10.4f} "
            f"{types[atom.index]:<4} 1 {residue_name} {charge:10.6f}"
        )
    lines.append("@<TRIPOS>BOND")
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtomIdx() + 1, bond.GetEndAtomIdx() + 1
        order = _ORDERS.get(bond.GetBondTypeAsDouble(), "1")
        lines.append(f"{bond.GetIdx() + 1:5d} {ends[0]:5d} {ends[1]:5d} {order}")
    return "\n".join([*lines, "@<TRIPOS>SUBSTRUCTURE", f"1 {residue_name} 1", ""])


def _dihedrals(
    molecule: Chem.Mol, parameters: LigandParameters, types: tuple[str, ...]
) -> list[str]:
    """Return lines for every chain of three bonds.

    Chains without terms get a zero one, because tleap refuses a torsion that it does not find.
    """
    terms: dict[tuple[int, ...], list[tuple[float, float, int]]] = {}
    for bond in molecule.GetBonds():
        for chain in torsions_about(molecule, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()):
            terms[chain] = []
    for i, j, k, m, periodicity, phase, strength in parameters.torsions:
        chain = (i, j, k, m) if (i, j, k, m) in terms else (m, k, j, i)
        terms[chain].append((strength, phase, periodicity))
    lines = []
    for atoms, series in terms.items():
        for number, (height, angle, periodicity) in enumerate(series or [(0.0, 0.0, 1)], start=1):
            # A negative periodicity announces another term of the same torsion.
            sign = -1 if number < len(series) else 1
            lines.append(
                f"{_joined(types, atoms)} 1 {height / KJ_PER_KCAL:.6f} {math.degrees(angle):.4f} "
                f"{sign * periodicity:.1f}"
            )
    return lines


def _impropers(
    molecule: Chem.Mol, parameters: LigandParameters, types: tuple[str, ...]
) -> list[str]:
    lines = []
    for i, j, centre, m, periodicity, phase, height in parameters.impropers:
        atoms, others = (i, j, centre, m), (i, j, m)
        if any(molecule.GetBondBetweenAtoms(centre, other) is None for other in others):
            raise ForceFieldError(
                f"found the improper {'-'.join(map(str, atoms))} whose centre is not its third "
                "atom, as a frcmod file requires"
            )
        lines.append(
            f"{_joined(types, atoms)} {height / KJ_PER_KCAL:.6f} {math.degrees(phase):.4f} "
            f"{periodicity:.1f}"
        )
    return lines


def _joined(types: tuple[str, ...], atoms: Iterable[int]) -> str:
    return "-".join(types[atom] for atom in atoms)

"""Starting geometries of a molecule: distance geometry, all combinations of torsions, Confab."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom

from nnpmm.conformers.confab import confab_conformers
from nnpmm.conformers.structure import same_chemistry
from nnpmm.core.errors import ConfigError, InputFileError, SelectionError
from nnpmm.torsions.bonds import RotatableBond, find_rotatable_bonds
from nnpmm.torsions.relaxation import Held, set_angles

__all__ = [
    "MOST_COMBINATIONS",
    "Generator",
    "count_for",
    "etkdg_conformers",
    "generate",
    "rotors",
    "systematic_conformers",
]

Generator = Literal["etkdg", "systematic", "confab"]
#: Of torsions in a systematic search.
MOST_COMBINATIONS = 5000
_SP2, _SP3 = Chem.HybridizationType.SP2, Chem.HybridizationType.SP3
# A single bond with partial double-bond character: amides, esters, acids, thioamides, carbamates.
_PLANAR = Chem.MolFromSmarts("[$([CX3]=[O,S,N])]-!@[$([NX3,OX2,SX2])]")
_STAGGERED, _FLAT = (60.0, 180.0, 300.0), (0.0, 180.0)
_CONJUGATED, _MIXED = (40.0, 140.0, 220.0, 320.0), (0.0, 60.0, 120.0, 180.0, 240.0, 300.0)
_TOUCHING = 0.5  # of the sum of the van der Waals radii

_Array = NDArray[np.float64]


def generate(
    molecule: Chem.Mol,
    generators: Sequence[Generator],
    *,
    count: int | None = None,
    seed: int = 0,
    threads: int = 1,
) -> _Array:
    """Return starting geometries (k, n, 3), nm, of several generators, one after the other.

    The molecule's own conformer is the first of them.

    Args:
        molecule: n atoms, hydrogens explicit, stereochemistry assigned, with a conformer.
        generators: by their names.
        count: of conformers by ``"etkdg"`` and ``"confab"`` each; None: by `count_for`.
        seed: of the distance geometry.
        threads: of the distance geometry.

    Raises:
        ConfigError: too many rotatable bonds for a systematic search.
        InputFileError: no conformer could be built.
        OptionalDependencyError: Open Babel is not installed.
    """
    number = count_for(molecule) if count is None else count
    known: dict[Generator, Callable[[], _Array]] = {
        "etkdg": lambda: etkdg_conformers(molecule, number, seed=seed, threads=threads),
        "systematic": lambda: systematic_conformers(molecule),
        "confab": lambda: confab_conformers(molecule, number),
    }
    own = 0.1 * np.array(molecule.GetConformer().GetPositions())[None]
    return np.concatenate([own, *(known[name]() for name in generators)])


def count_for(molecule: Chem.Mol) -> int:
    """Return how many conformers of distance geometry a molecule needs.

    50, 200 or 300 for up to 7, 12 or more rotatable bonds (J.-P. Ebejer, G. M. Morris and
    C. M. Deane, J. Chem. Inf. Model. 2012, 52, 1146); hydroxyls count here.
    """
    bonds = len(_bonds(molecule, hydroxyls=True))
    return 50 if bonds <= 7 else 200 if bonds <= 12 else 300


def etkdg_conformers(molecule: Chem.Mol, count: int, *, seed: int = 0, threads: int = 1) -> _Array:
    """Return conformers (k, n, 3), nm, of distance geometry with rdkit's torsion knowledge.

    S. Wang et al., J. Chem. Inf. Model. 2020, 60, 2044 (ETKDGv3).

    Args:
        molecule: n atoms, hydrogens explicit.
        count: of conformers; k is smaller if some could not be built.
        seed: the same gives the same conformers.
        threads: of rdkit.

    Raises:
        InputFileError: none could be built.
    """
    settings: Any = rdDistGeom.ETKDGv3()
    settings.randomSeed = seed + 1  # with 0 all conformers are the same
    settings.numThreads = threads
    for changes in ({}, {"useRandomCoords": True}, {"enforceChirality": False}):
        for name, value in changes.items():
            setattr(settings, name, value)
        if not len(_embedded(molecule, 1, settings)):
            continue
        found = _embedded(molecule, count, settings)
        # rdkit cannot embed bicyclo[1.1.1]pentanes with the centres that it sees in them.
        if not settings.enforceChirality:
            found = found[same_chemistry(molecule, found)]
        if len(found):
            return found
    raise InputFileError(
        "found no conformers by distance geometry; check stereochemistry and ring strain, or give "
        "a file with coordinates and use the generator systematic"
    )


def _embedded(molecule: Chem.Mol, count: int, settings: Any) -> _Array:
    copy = Chem.Mol(molecule)
    with rdBase.BlockLogs():
        numbers = list(rdDistGeom.EmbedMultipleConfs(copy, count, settings))
    found = [copy.GetConformer(number).GetPositions() for number in numbers]
    return 0.1 * np.array(found).reshape(len(found), copy.GetNumAtoms(), 3)


def rotors(molecule: Chem.Mol) -> list[tuple[RotatableBond, tuple[float, ...]]]:
    """Return the bonds that a systematic search turns, each with its angles in degrees.

    Rotatable bonds between heavy atoms, hydroxyls and thiols: 60, 180 and 300 degrees between sp3
    atoms, 0 and 180 for amides, esters and acids, 40, 140, 220 and 320 between other sp2 atoms,
    and every 60 degrees between sp3 and sp2. What lies between them is left to the relaxation.

    Args:
        molecule: n atoms, hydrogens explicit.
    """
    planar = {frozenset(pair) for pair in molecule.GetSubstructMatches(_PLANAR)}
    found = []
    for bond in _bonds(molecule, hydroxyls=True):
        kinds = {molecule.GetAtomWithIdx(atom).GetHybridization() for atom in bond.atoms}
        if frozenset(bond.atoms) in planar:
            angles: tuple[float, ...] = _FLAT
        elif kinds == {_SP2}:
            angles = _CONJUGATED
        else:
            angles = _STAGGERED if kinds == {_SP3} else _MIXED
        found.append((bond, angles))
    return found


def systematic_conformers(molecule: Chem.Mol, *, most: int = MOST_COMBINATIONS) -> _Array:
    """Return geometries (k, n, 3), nm, with all combinations of the angles of `rotors`.

    Rings stay as they are in the molecule's conformer. Geometries in which heavy atoms more than
    three bonds apart are closer than half the sum of their van der Waals radii are left out.

    Args:
        molecule: n atoms, hydrogens explicit, with a conformer.
        most: combinations.

    Raises:
        ConfigError: there are more combinations.
    """
    found = rotors(molecule)
    number = int(np.prod([len(angles) for _, angles in found], dtype=np.float64))
    if number > most:
        raise ConfigError(
            f"found {len(found)} rotatable bonds with {number} combinations of their angles, a "
            f"systematic search takes up to {most}; use the generator etkdg"
        )
    bonds = [bond for bond, _ in found]
    angles = np.radians(list(itertools.product(*(values for _, values in found))))
    own = 0.1 * np.array(molecule.GetConformer().GetPositions())
    start = np.repeat(own[None], len(angles), axis=0)
    turned = set_angles(start, Held.of([bonds] * len(angles), angles, len(own)))
    return turned[~_clashing(molecule, turned)]


def _clashing(molecule: Chem.Mol, positions: _Array) -> NDArray[np.bool_]:
    table = Chem.GetPeriodicTable()
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    radii = 0.1 * np.array([table.GetRvdw(int(number)) for number in numbers])
    heavy = np.outer(numbers > 1, numbers > 1)
    i, j = np.nonzero(np.triu(heavy & (Chem.GetDistanceMatrix(molecule) > 3)))
    distances = np.linalg.norm(positions[:, i] - positions[:, j], axis=-1)
    return np.asarray((distances < _TOUCHING * (radii[i] + radii[j])).any(axis=1))


def _bonds(molecule: Chem.Mol, *, hydroxyls: bool = False) -> list[RotatableBond]:
    """Return the rotatable bonds, none for a rigid molecule, and if wanted those of O-H and S-H."""
    try:
        heavy = list(find_rotatable_bonds(molecule))
    except SelectionError:
        heavy = []
    if not hydroxyls:
        return heavy
    try:
        every = find_rotatable_bonds(molecule, hydrogen_rotors=True)
    except SelectionError:
        return heavy
    names = {bond.name for bond in heavy}
    return heavy + [b for b in every if b.name not in names and _turns_hydroxyl(molecule, b)]


def _turns_hydroxyl(molecule: Chem.Mol, bond: RotatableBond) -> bool:
    atoms = [molecule.GetAtomWithIdx(index) for index in bond.atoms]
    return any(
        atom.GetAtomicNum() in (8, 16) and any(n.GetAtomicNum() == 1 for n in atom.GetNeighbors())
        for atom in atoms
    )

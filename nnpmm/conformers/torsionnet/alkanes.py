"""Branched alkanes from small to large, on which a policy is trained."""

from __future__ import annotations

import random

import numpy as np
from rdkit import Chem
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers, StereoEnumerationOptions

from nnpmm.conformers.rotors import rotatable_bonds
from nnpmm.core.errors import ConfigError

__all__ = ["branched_alkanes"]

_BRANCHING = 0.2  # probability that a carbon is not added at the end of the chain
_TRIALS = 50  # for each alkane that is wanted


def branched_alkanes(count: int, *, rotors: tuple[int, int], seed: int) -> list[str]:
    """Return SMILES of different alkanes, by the number of their rotatable bonds.

    They grow carbon by carbon, mostly at the last one, otherwise at any that has a hydrogen left.
    The configuration of stereocentres is random.

    Args:
        count: number of alkanes, spread over the numbers of rotatable bonds.
        rotors: fewest and most rotatable bonds.
        seed: the same gives the same alkanes.

    Raises:
        ConfigError: there are fewer alkanes.
    """
    numbers = np.random.default_rng(seed)
    sizes = range(rotors[0], rotors[1] + 1)
    found: dict[str, int] = {}
    for trial in range(_TRIALS * count):
        wanted = sizes[trial % len(sizes)]
        molecule = _grown(wanted + 3, numbers)
        drawn = random.Random(int(numbers.integers(2**31)))
        options = StereoEnumerationOptions(maxIsomers=1, rand=drawn)
        smiles = Chem.MolToSmiles(next(iter(EnumerateStereoisomers(molecule, options=options))))
        bonds = len(rotatable_bonds(Chem.AddHs(molecule)))
        if rotors[0] <= bonds <= rotors[1]:
            found.setdefault(smiles, bonds)
        if len(found) == count:
            return sorted(found, key=lambda smiles: (found[smiles], len(smiles), smiles))
    raise ConfigError(
        f"found {len(found)} alkanes with {rotors[0]} to {rotors[1]} rotatable bonds, expected "
        f"{count}; take fewer, or more rotatable bonds"
    )


def _grown(carbons: int, numbers: np.random.Generator) -> Chem.Mol:
    molecule = Chem.RWMol(Chem.MolFromSmiles("C"))
    for _ in range(1, carbons + int(numbers.integers(0, carbons // 3 + 1))):
        last = molecule.GetNumAtoms() - 1
        free = [a.GetIdx() for a in molecule.GetAtoms() if a.GetDegree() < 4]
        branches = numbers.random() < _BRANCHING
        parent = int(numbers.choice(free)) if branches else last
        molecule.AddBond(parent, molecule.AddAtom(Chem.Atom(6)), Chem.BondType.SINGLE)
    Chem.SanitizeMol(molecule)
    return molecule.GetMol()

"""New molecules from halves of known ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rdkit import Chem
from rdkit.Chem import BRICS

from nnpmm.core.errors import ConfigError

__all__ = ["recombined"]

_TRIES = 20  # for each wanted molecule


def recombined(
    smiles: Sequence[str],
    count: int,
    *,
    seed: int,
    most_atoms: int = 40,
    unwanted: Callable[[str], bool] = lambda smiles: False,
) -> list[str]:
    """Return molecules made of halves of two others, as canonical SMILES.

    Molecules are cut at one BRICS bond (J. Degen et al., ChemMedChem 2008, 3, 1503). Two halves fit
    if the environment of each is the one that the other had before the cut.

    Args:
        smiles: of the molecules that are cut.
        count: of new molecules.
        seed: the same gives the same molecules.
        most_atoms: heavy atoms of a new molecule.
        unwanted: returns whether a molecule must be left out.

    Raises:
        ConfigError: there are too few halves for so many molecules.
    """
    halves = [half for text in smiles for half in _halves(text)]
    fitting: dict[tuple[str, str], list[str]] = {}
    for ends, piece in halves:
        fitting.setdefault(ends, []).append(piece)
    known = set(smiles)
    found: list[str] = []
    rng = np.random.default_rng(seed)
    for _ in range(_TRIES * count if halves else 0):
        if len(found) == count:
            break
        (own, other), piece = halves[rng.integers(len(halves))]
        partners = fitting[other, own]
        new = _joined(piece, partners[rng.integers(len(partners))], most_atoms)
        if new is not None and new not in known and not unwanted(new):
            known.add(new)
            found.append(new)
    if len(found) < count:
        raise ConfigError(
            f"found {len(found)} new molecules from {len(halves)} halves of {len(smiles)} "
            f"molecules, expected {count}: give more molecules, or ask for fewer"
        )
    return found


def _halves(smiles: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield both halves of every cut: BRICS environments of its end and the other, and SMILES."""
    molecule = Chem.MolFromSmiles(smiles)
    for (i, j), kinds in sorted(BRICS.FindBRICSBonds(molecule)):
        bond = molecule.GetBondBetweenAtoms(i, j)
        if bond.GetBondType() != Chem.BondType.SINGLE:
            continue
        cut = Chem.FragmentOnBonds(molecule, [bond.GetIdx()], dummyLabels=[(0, 0)])
        members: list[tuple[int, ...]] = []
        pieces = Chem.GetMolFrags(cut, asMols=True, fragsMolAtomMapping=members)
        for piece, atoms in zip(pieces, members, strict=True):
            for atom in piece.GetAtoms():
                if atom.GetAtomicNum() == 0:
                    atom.SetAtomMapNum(1)
            own, other = kinds if i in atoms else reversed(kinds)
            yield (own, other), Chem.MolToSmiles(piece)


def _joined(first: str, second: str, most_atoms: int) -> str | None:
    """Return the molecule of two halves, or None if it is too large or not a molecule."""
    joined = Chem.molzip(Chem.MolFromSmiles(first), Chem.MolFromSmiles(second))
    if joined.GetNumHeavyAtoms() > most_atoms or Chem.SanitizeMol(joined, catchErrors=True):
        return None
    read = Chem.MolFromSmiles(Chem.MolToSmiles(joined))
    return None if read is None else str(Chem.MolToSmiles(read))

"""The choice of the molecules on which a property is tested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from nnpmm.graphs.molecules import flat_smiles
from nnpmm.learning import make_split

__all__ = ["SplitKind", "drawn_for_test", "scaffold"]

SplitKind = Literal["random", "scaffold"]


def drawn_for_test(
    smiles: Sequence[str], split: SplitKind, *, share: float = 0.1, seed: int = 0
) -> NDArray[np.bool_]:
    """Return which molecules are test molecules, (n,).

    With scaffolds, the rarest ones are for the test, as in Z. Wu et al., Chem. Sci. 2018, 9, 513.
    All molecules of a scaffold are in the same part.

    Args:
        smiles: (n,) of the molecules.
        split: random, or scaffold, which does not depend on the seed.
        share: of the test.
        seed: of a random test.

    Raises:
        ConfigError: there are too few molecules.
    """
    if split == "random":
        found = make_split(
            "random", {}, len(smiles), seed=seed, shares=(0.9 - share, 0.1, share)
        ).test
        return np.isin(np.arange(len(smiles)), found)
    return _rare_scaffolds([scaffold(text) for text in smiles], share)


def scaffold(smiles: str) -> str:
    """Return the rings of a molecule with the chains between them, as SMILES; "" without rings.

    G. W. Bemis and M. A. Murcko, J. Med. Chem. 1996, 39, 2887.
    """
    return str(MurckoScaffold.MurckoScaffoldSmiles(mol=Chem.MolFromSmiles(flat_smiles(smiles))))


def _rare_scaffolds(scaffolds: Sequence[str], share: float) -> NDArray[np.bool_]:
    groups: dict[str, list[int]] = {}
    for number, text in enumerate(scaffolds):
        groups.setdefault(text, []).append(number)
    test = np.ones(len(scaffolds), dtype=bool)
    remaining = round((1.0 - share) * len(scaffolds))
    for members in sorted(groups.values(), key=lambda found: (-len(found), found[0])):
        if len(members) <= remaining:
            test[members] = False
            remaining -= len(members)
    return test

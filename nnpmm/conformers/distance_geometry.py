"""Starting geometries by distance geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom

from nnpmm.conformers.structure import same_chemistry
from nnpmm.core.errors import InputFileError

__all__ = ["etkdg_conformers"]

_Array = NDArray[np.float64]


def etkdg_conformers(molecule: Chem.Mol, count: int, *, seed: int = 0, threads: int = 1) -> _Array:
    """Return conformers (k, n, 3), nm, from distance geometry with rdkit's torsion preferences.

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
    settings.randomSeed = seed + 1  # rdkit gives identical conformers with a seed of 0
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

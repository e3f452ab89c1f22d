"""Conformers of many molecules, generated once and stored in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.conformers import etkdg_conformers, relax_by_force_field
from nnpmm.core.arrays import load_keyed, save_arrays
from nnpmm.core.errors import InputFileError

__all__ = ["conformers_of", "kept_conformers"]

# Distances hardly change after 200 steps, long before the minimisation converges.
_STEPS = 200


def conformers_of(smiles: str, count: int, seed: int) -> NDArray[np.float32]:
    """Return conformers of the heavy atoms (k, n, 3), nm: ETKDG, relaxed with MMFF94s or UFF.

    Args:
        smiles: canonical, which gives the order of the atoms.
        count: of conformers; k is smaller if some could not be built.
        seed: of the distance geometry.

    Raises:
        InputFileError: none could be built, or no force field knows the atoms.
    """
    molecule = Chem.MolFromSmiles(smiles)
    explicit = Chem.AddHs(molecule)
    geometries = etkdg_conformers(explicit, count, seed=seed)
    relaxed = relax_by_force_field(explicit, geometries, steps=_STEPS)
    if relaxed is None:
        raise InputFileError(
            "found atoms without parameters in MMFF94s and UFF; leave out the molecule"
        )
    # Hydrogens that rdkit adds come after all other atoms.
    return relaxed.positions[:, : molecule.GetNumAtoms()].astype(np.float32)


def kept_conformers(
    folder: Path,
    smiles: Sequence[str],
    count: int,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[list[NDArray[np.float32]], dict[str, str]]:
    """Return conformers (k, n, 3), nm, of each molecule, and why some molecules have none.

    Args:
        folder: of the conformers; those in it are not generated again.
        smiles: canonical.
        count: of conformers of each molecule; k is 0 for a molecule without any.
        seed: of the distance geometry.
        progress: called with the number of molecules that are done, and their number.

    Raises:
        UnwritableError: a file cannot be written.
    """
    found, reasons = [], {}
    for number, text in enumerate(smiles):
        positions, reason = _kept(folder, text, count, seed)
        found.append(positions)
        if reason:
            reasons[text] = reason
        progress(number + 1, len(smiles))
    return found, reasons


def _kept(folder: Path, smiles: str, count: int, seed: int) -> tuple[NDArray[np.float32], str]:
    key = hashlib.sha256(f"{smiles} {count} {seed} {_STEPS}".encode()).hexdigest()
    path = folder / key[:2] / f"{key[:16]}.safetensors"
    kept = load_keyed(path, key)
    if kept is not None:
        return kept[0]["positions"], str(kept[1]["reason"])
    try:
        positions, reason = conformers_of(smiles, count, seed), ""
    except InputFileError as error:
        atoms = Chem.MolFromSmiles(smiles).GetNumAtoms()
        positions, reason = np.empty((0, atoms, 3), dtype=np.float32), str(error)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(path, {"positions": positions}, {"key": key, "smiles": smiles, "reason": reason})
    return positions, reason

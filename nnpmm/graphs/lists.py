"""The molecules of a pre-training."""

from __future__ import annotations

from rdkit import Chem

from nnpmm.core.errors import ConfigError
from nnpmm.graphs.enumeration import recombined
from nnpmm.graphs.molecules import flat_smiles, read_molecules
from nnpmm.graphs.settings import PretrainingSettings

__all__ = ["pretraining_smiles"]


def pretraining_smiles(settings: PretrainingSettings) -> list[str]:
    """Return the canonical SMILES of the molecules of a pre-training, each once.

    Raises:
        ConfigError: no molecules are left, or too few for recombination.
        InputFileError: a table or a molecule in it cannot be read.
    """
    left_out = {
        flat_smiles(molecule.smiles)
        for path in settings.leave_out
        for molecule in read_molecules(path, smiles=settings.smiles)
    }
    read = dict.fromkeys(
        molecule.smiles
        for path in settings.molecules
        for molecule in read_molecules(path, smiles=settings.smiles)
    )
    chosen = [
        text
        for text in read
        if Chem.MolFromSmiles(text).GetNumAtoms() <= settings.most_atoms
        and flat_smiles(text) not in left_out
    ]
    if not chosen:
        raise ConfigError(
            f"found {len(read)} molecules, all of which are left out or have more than "
            f"{settings.most_atoms} heavy atoms; add others"
        )
    if not settings.recombined:
        return chosen
    return chosen + recombined(
        chosen,
        settings.recombined,
        seed=settings.seed,
        most_atoms=settings.most_atoms,
        unwanted=lambda text: flat_smiles(text) in left_out,
    )

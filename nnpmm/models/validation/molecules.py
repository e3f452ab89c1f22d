"""The molecules that a potential is checked with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnpmm.core.errors import ConfigError, ModelError, RegionError
from nnpmm.models.protocol import Potential
from nnpmm.models.validation.probe import Probe, create_probe, is_of_one_molecule

if TYPE_CHECKING:
    from rdkit import Chem

__all__ = ["DEFAULT_MOLECULES", "create_probes", "read_molecule"]

#: SMILES by name. Those that a potential cannot describe are left out.
DEFAULT_MOLECULES: Mapping[str, str] = {
    "water": "O",
    "methanol": "CO",
    "acetamide": "CC(N)=O",
    "benzene": "c1ccccc1",
    "acetate": "CC(=O)[O-]",
}
_FILES = (".sdf", ".mol", ".mol2")


def read_molecule(text: str, *, seed: int = 0) -> Chem.Mol:
    """Return a molecule of a SMILES, or of an SDF or MOL2 file.

    Args:
        text: a SMILES, or the path of a file that ends in ``.sdf``, ``.mol`` or ``.mol2``.
        seed: of the conformer of a SMILES.

    Raises:
        InputFileError: it cannot be read, or is no molecule with all hydrogens.
    """
    from nnpmm.structures import molecule_from_file, molecule_from_smiles

    if text.lower().endswith(_FILES):
        return molecule_from_file(text)
    return molecule_from_smiles(text, seed=seed)


def create_probes(
    potential: Potential, molecules: Sequence[str] = ()
) -> tuple[list[Probe], dict[str, str]]:
    """Bind a potential to molecules, by default to those of `DEFAULT_MOLECULES` that it knows.

    Args:
        potential: that is to be checked.
        molecules: SMILES and files; see `read_molecule`.

    Returns:
        The bound molecules, and of each default one that was left out the reason.

    Raises:
        InputFileError: a molecule cannot be read.
        RegionError: the potential cannot describe a molecule that was asked for.
        ModelError: the same, of a potential of another package.
        ConfigError: it can describe none of the default ones, it was made for one molecule and
            none is given, or one is given twice.
    """
    if molecules:
        names = [Path(text).stem if text.lower().endswith(_FILES) else text for text in molecules]
        if len(set(names)) < len(names):
            raise ConfigError(f"found a molecule twice among {', '.join(names)}, allowed: once")
        named = zip(names, map(read_molecule, molecules), strict=True)
        return [create_probe(potential, molecule, name) for name, molecule in named], {}
    if is_of_one_molecule(potential):
        raise ConfigError(
            f"{potential.name} describes one molecule, which it does not name; give that molecule"
        )
    probes, left_out = [], {}
    for name, smiles in DEFAULT_MOLECULES.items():
        try:
            probes.append(create_probe(potential, read_molecule(smiles), name))
        except (RegionError, ModelError) as error:
            left_out[name] = str(error)
    if not probes:
        raise ConfigError(
            f"{potential.name} can describe none of {', '.join(DEFAULT_MOLECULES)} "
            f"({next(iter(left_out.values()))}); give molecules that it describes"
        )
    return probes, left_out

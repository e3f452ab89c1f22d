"""Settings for the source of a molecule and its force-field parameters."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator
from rdkit import Chem
from typing_extensions import Self

from nnpmm.core.fields import Section, SettingsPath
from nnpmm.structures.ligands.amber import molecule_from_amber
from nnpmm.structures.ligands.molecules import molecule_from_file, molecule_from_smiles
from nnpmm.structures.ligands.parameters import LigandParameters, parameterize
from nnpmm.structures.providers import PROVIDERS, Provider

__all__ = ["MoleculeSource", "read_molecule", "read_molecule_alone"]


class MoleculeSource(Section):
    """The molecule: a SMILES string, a structure file, or Amber files of the molecule alone."""

    #: Exactly one of these keys must be given.
    _sources: ClassVar[tuple[str, ...]] = ("smiles", "file", "topology")

    smiles: str | None = Field(None, description="SMILES of the molecule", examples=["CO"])
    file: SettingsPath | None = Field(
        None, description="SDF or MOL2 file of the molecule, with all hydrogens"
    )
    topology: SettingsPath | None = Field(
        None, description="Amber topology (prmtop) of the molecule alone, with its parameters"
    )
    coordinates: SettingsPath | None = Field(
        None, description="Amber coordinates (inpcrd, rst7) of the molecule, with 'topology'"
    )
    parameters: Provider = Field(
        "auto",
        description=f"where charges and Lennard-Jones parameters come from, not with 'topology': "
        f"{PROVIDERS}",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in self._sources if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"found {' and '.join(given) or 'none'} of {', '.join(self._sources[:-1])} and "
                f"{self._sources[-1]}, allowed: one"
            )
        if (self.topology is None) != (self.coordinates is None):
            raise ValueError("'topology' and 'coordinates' require each other")
        if self.topology is not None and self.parameters != "auto":
            raise ValueError(
                f"found parameters {self.parameters!r} with 'topology', which has its own "
                "parameters: leave 'parameters' out"
            )
        return self


def read_molecule(source: MoleculeSource, seed: int = 0) -> tuple[Chem.Mol, LigandParameters]:
    """Return the molecule, with a conformer, and its parameters.

    Args:
        source: settings of the molecule.
        seed: seed of the conformer if the source is a SMILES string.

    Raises:
        NnpmmError: see `nnpmm.structures.parameterize` and the readers.
    """
    if source.topology is not None and source.coordinates is not None:
        return molecule_from_amber(source.topology, source.coordinates)
    molecule = read_molecule_alone(source, seed)
    return molecule, parameterize(molecule, provider=source.parameters)


def read_molecule_alone(source: MoleculeSource, seed: int = 0) -> Chem.Mol:
    """Return the molecule, with a conformer; see `read_molecule`."""
    if source.topology is not None and source.coordinates is not None:
        return molecule_from_amber(source.topology, source.coordinates)[0]
    if source.file is not None:
        return molecule_from_file(source.file)
    return molecule_from_smiles(source.smiles or "", seed=seed)

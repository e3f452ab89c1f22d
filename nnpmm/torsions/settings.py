"""Settings of a torsion scan."""

from __future__ import annotations

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import ModelName, Section, SettingsPath
from nnpmm.structures.ligands.source import MoleculeSource

__all__ = ["ScanSettings"]


class ScanSettings(Section):
    """A relaxed scan of the torsions of one molecule."""

    molecule: MoleculeSource
    bonds: tuple[str, ...] = Field(
        (),
        description="bonds to scan, each by 0-based atoms '3-7', or by a torsion '1-3-7-8'; none: "
        "the rotatable bonds that rdkit finds",
    )
    hydrogen_rotors: bool = Field(
        False, description="without 'bonds': include bonds that only turn hydrogens"
    )
    models: tuple[ModelName, ...] = Field(
        ("ANI-2x",),
        min_length=1,
        description="networks; the first is scanned in both directions, the others are relaxed "
        "from its geometries",
    )
    force_field: bool = Field(True, description="compare with a force field")
    spacing: float = Field(15.0, description="spacing of the angles, in degrees; a divisor of 360")
    reference: SettingsPath | None = Field(
        None,
        description="CSV file of reference energies: torsion, angle_degrees, energy_kcal_mol",
    )
    seed: int = Field(0, ge=0, description="random seed of the conformer of a SMILES string")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for name in ("models", "bonds"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(
                    f"found the {name} {list(getattr(self, name))}, allowed: each once"
                )
        return self

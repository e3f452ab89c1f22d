"""Settings of a conformer search."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.conformers.generation import Generator
from nnpmm.core.fields import ForceConstant, Length, ModelName, Section, SettingsPath, Temperature
from nnpmm.structures.ligands.source import MoleculeSource

__all__ = ["ConformerSettings", "Solvent"]

Solvent = Literal["vacuum", "water"]


class ConformerSettings(Section):
    """A search for the low conformers of one molecule."""

    molecule: MoleculeSource
    generators: tuple[Generator, ...] = Field(
        ("etkdg",),
        min_length=1,
        description="generators of starting geometries: etkdg (distance geometry), monte-carlo "
        "(search with a force field), systematic (all combinations of torsions), confab "
        "(Open Babel), torsionnet (search with a policy)",
    )
    count: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="number of geometries from each generator except systematic; null: 50, 200 or "
        "300 by the number of rotatable bonds",
    )
    policy: SettingsPath | None = Field(
        None, description="folder of nnpmm torsionnet train, for the generator torsionnet"
    )
    model: ModelName = Field("ANI-2x", description="the network")
    solvent: Solvent = Field(
        "vacuum",
        description="vacuum, or water: generalised Born with the charges of 'parameters', added to "
        "the network's energy",
    )
    temperature: Temperature = Field("298.15 K", gt=0, description="of populations")  # type: ignore[assignment]
    window: float = Field(
        25.0,
        gt=0,
        le=1000,
        description="largest energy above the lowest conformer, in kJ/mol, of conformers that are "
        "kept",
    )
    screen_window: float = Field(
        80.0,
        gt=0,
        le=10_000,
        description="the same for the force field (MMFF94s, or UFF), before the network, in kJ/mol",
    )
    rmsd: Length = Field(
        "0.025 nm",  # type: ignore[assignment]
        gt=0,
        description="conformers with a smaller RMSD (heavy atoms and polar hydrogens, with "
        "symmetry) are the same",
    )
    free_energies: bool = Field(
        False,
        description="calculate populations from harmonic free energies, with Hessians of "
        "the network",
    )
    pose: SettingsPath | None = Field(
        None, description="complex (PDB, mmCIF, GRO) with the pose whose strain is calculated"
    )
    selection: str | None = Field(None, description="selection of the ligand in 'pose'")
    restraint_width: Length = Field(
        "0.03 nm",  # type: ignore[assignment]
        ge=0,
        description="distance within which heavy atoms of the pose move freely",
    )
    restraint_constant: ForceConstant = Field(
        "10000 kJ/mol/nm^2",  # type: ignore[assignment]
        gt=0,
        description="force constant of the harmonic restraint beyond that distance",
    )
    seed: int = Field(0, ge=0, description="random seed of the generators")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if len(set(self.generators)) < len(self.generators):
            raise ValueError(f"found the generators {list(self.generators)}, allowed: each once")
        if ("torsionnet" in self.generators) != (self.policy is not None):
            raise ValueError(
                f"found the generators {list(self.generators)} with policy {self.policy}; the "
                "generator torsionnet needs a policy, the folder of nnpmm torsionnet train, and "
                "others take none"
            )
        if (self.pose is None) != (self.selection is None):
            raise ValueError("'pose' and 'selection' require each other")
        return self

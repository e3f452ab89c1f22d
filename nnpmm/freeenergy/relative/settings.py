"""Settings of relative binding free energies."""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from nnpmm.core.errors import ConfigError
from nnpmm.core.fields import Concentration, Length, Section, SettingsPath
from nnpmm.freeenergy.legs.settings import JointSettings, LadderName, LegTimes
from nnpmm.freeenergy.relative.states import HALF, transfer_schedule
from nnpmm.structures.providers import PROVIDERS, Provider

__all__ = ["RelativeSettings", "RestraintSettings", "TransferSettings"]


class TransferSettings(LegTimes):
    """The states between the two ends, and how long each is sampled."""

    half: tuple[tuple[float, float], ...] = Field(
        HALF,
        description="lambda1 and lambda2 from (0, 0) to (0.5, 0.5); the second half is its mirror",
    )

    @field_validator("half")
    @classmethod
    def _rises(cls, half: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        try:
            transfer_schedule(half)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return half


class RestraintSettings(Section):
    """Restraints that keep one ligand in the site, the other in the solvent, and both aligned."""

    site_radius: Length = Field(
        0.4, gt=0, description="distance by which the bound ligand may move from its pose, in nm"
    )
    clearance: Length = Field(
        0.8,
        gt=0,
        description="minimum distance between the ligand in the solvent and heavy atoms of the "
        "protein, in nm",
    )
    alignment: float = Field(
        209.2,
        ge=0,
        description="restraint energy of ligands whose axes are antiparallel, in kJ/mol; 0: no "
        "restraint of the alignment",
    )
    strength: float = Field(
        10460.0,
        gt=0,
        description="force constant that keeps the ligands in the site and in the solvent, in "
        "kJ/mol/nm^2",
    )


class RelativeSettings(JointSettings):
    """Relative binding free energies: the protein, poses of its ligands, and pairs of them."""

    protein: SettingsPath = Field(description="protein with all hydrogens (.pdb, .cif)")
    ligands: SettingsPath = Field(
        description="SDF file of all ligands, named, with their poses in the site"
    )
    edges: tuple[tuple[str, str], ...] = Field(
        min_length=1, description="pairs of ligands; the free energy is the second minus the first"
    )
    measured: dict[str, Concentration] = Field(
        {}, description="measured dissociation or inhibition constants of ligands, in M"
    )
    parameters: Provider = Field(
        "auto",
        description=f"where the ligands' charges and Lennard-Jones parameters come from: "
        f"{PROVIDERS}",
    )
    water_model: Literal["tip3p", "tip3pfb", "spce", "opc3", "opc", "tip4pew", "tip4pfb"] = Field(
        "tip3p", description="water model"
    )
    padding: Length = Field(
        1.0,
        gt=0,
        description="minimum distance between the solutes and the faces of the box, in nm",
    )
    box_shape: Literal["cube", "dodecahedron", "octahedron"] = Field(
        "dodecahedron", description="shape of the periodic box"
    )
    ionic_strength: Concentration = Field(0.15, ge=0, description="salt added, in M")
    cutoff: Length = Field(0.9, gt=0, description="cutoff of the direct-space interactions, in nm")
    restraints: RestraintSettings = RestraintSettings()
    # Two drug-like molecules change their potential at once: with steps of 0.5, the states at the
    # ends hardly overlapped for two ligands of Tyk2 (docs/validation/binding.md).
    network: tuple[float, ...] = Field(
        (0.2, 0.4, 0.6, 0.8, 1.0),
        description="weights of the network between force field and network, above 0 to 1",
    )
    ladder: TransferSettings = TransferSettings()
    route: Literal["joint", "separate"] = Field(
        "joint",
        description="with both network and force field: one ladder that continues from the force "
        "field to the network at both ends (joint), or a ladder for each (separate)",
    )

    @model_validator(mode="after")
    def _each_pair_once(self) -> Self:
        seen = set()
        for pair in self.edges:
            if pair[0] == pair[1] or frozenset(pair) in seen:
                raise ValueError(
                    f"edges: found {' and '.join(pair)}, allowed: two ligands, each pair once"
                )
            seen.add(frozenset(pair))
        for name in self.names:
            if not name.strip() or set(name) & set("/\\\0") or name.startswith("."):
                raise ValueError(
                    f"edges: found the name {name!r}, allowed: names that are valid for a folder"
                )
        for name, value in self.measured.items():
            if value <= 0:
                raise ValueError(f"measured: found {value} M for {name}, allowed: more than 0 M")
        return self

    @property
    def ladders(self) -> tuple[LadderName, ...]:
        """The ladders to sample for each pair."""
        if len(self.potentials) == 1 or self.route == "separate":
            return self.potentials
        return ("joint",)

    @property
    def names(self) -> tuple[str, ...]:
        """Ligands of the edges, in their order."""
        return tuple(dict.fromkeys(itertools.chain(*self.edges)))

    def of_edge(self, edge: tuple[str, str]) -> RelativeSettings:
        """Return the settings of one pair alone."""
        return self.model_copy(update={"edges": (edge,), "measured": {}})

"""Settings of an absolute binding free energy."""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import AngleConstant, ForceConstant, Length, Section, Time
from nnpmm.freeenergy.legs.settings import (
    JointSettings,
    LadderName,
    LadderSettings,
    LegTimes,
)
from nnpmm.structures.inputs import SystemSource

__all__ = [
    "BindingSettings",
    "ComplexLadderSettings",
    "PilotSettings",
    "RestraintSettings",
]


class RestraintSettings(Section):
    """The restraint that keeps the decoupled ligand in its site."""

    distance_constant: ForceConstant = Field(
        4184.0, gt=0, description="force constant k of k/2 (r - r0)^2, in kJ/mol/nm^2"
    )
    angle_constant: AngleConstant = Field(
        83.68, gt=0, description="force constant of angles and torsions, in kJ/mol/rad^2"
    )
    anchors: tuple[int, int, int, int, int, int] | None = Field(
        None,
        description="0-based indices of three atoms of the receptor (c, b, a) and of three of the "
        "ligand (A, B, C), where a and A are nearest to each other; null: chosen from the short "
        "run",
        examples=["[10, 4, 7, 130, 128, 127]"],
    )
    site_radius: Length = Field(
        0.5,
        gt=0,
        description="largest allowed distance of the ligand's centre from its start, in nm; "
        "beyond it, the ligand has left its site, which is an error",
    )


class PilotSettings(Section):
    """The short run of the complex, without a restraint, from which anchors are chosen."""

    equilibration: Time = Field(
        100.0, gt=0, description="equilibration under constant pressure, in ps"
    )
    length: Time = Field(500.0, gt=0, description="length of the run after that, in ps")
    interval: Time = Field(1.0, gt=0, description="time between frames, in ps")

    @model_validator(mode="after")
    def _several_frames(self) -> Self:
        if self.length < 10 * self.interval:
            raise ValueError(
                f"found a length of {self.length:g} ps and an interval of {self.interval:g} ps, "
                "allowed: ten frames or more"
            )
        return self


class ComplexLadderSettings(LadderSettings):
    """The states of the complex: the restraint is switched on, then the ligand is decoupled."""

    # In a narrow site, water replaces the ligand between 0.4 and 0.1. States have to be closer than
    # 0.1 there: those at 0.3 and 0.2 of B2 in cucurbit[7]uril overlap by 0.011 only.
    sterics: tuple[float, ...] = Field(
        (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.0),
        description="couplings of the Lennard-Jones interaction, below 1 to 0, without charges",
    )
    restraints: tuple[float, ...] = Field(
        (0.0, 0.01, 0.05, 0.25, 1.0),
        description="factors of the restraint, from 0 to 1, at full interaction",
    )

    # In a narrow site, repeats that all begin with the bound ligand agree within 1 kcal/mol where
    # those from both ends differ by 14 (benchmarks/results/cb7_b2_ends.json).
    equilibrate_from: Literal["first", "last", "alternate"] = Field(
        "alternate", description=LegTimes.model_fields["equilibrate_from"].description
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        values = self.restraints
        rises = all(first < second for first, second in itertools.pairwise(values))
        if len(values) < 2 or not rises or values[0] != 0 or values[-1] != 1:
            raise ValueError(
                f"restraints: found {list(values)}, allowed: values that rise from 0 to 1"
            )
        return self


class BindingSettings(JointSettings):
    """An absolute binding free energy: complex, ligand, potentials, restraint and ladders."""

    system: SystemSource = Field(
        description="the complex in water: prepared files, or a ligand and its protein"
    )
    selection: str | None = Field(
        None,
        description="atoms of the ligand in mdtraj's selection language; with a built system it "
        "may be left out",
        examples=['"resname LIG"'],
    )
    symmetry_number: int = Field(
        1,
        ge=1,
        description="number of equivalent poses of the bound ligand between which the simulation "
        "does not move; it adds -kT ln(number)",
    )
    padding: Length = Field(
        1.0,
        gt=0,
        description="minimum distance between the ligand alone and the faces of its box, in nm",
    )
    restraint: RestraintSettings = RestraintSettings()
    pilot: PilotSettings = PilotSettings()
    complex_ladder: ComplexLadderSettings = ComplexLadderSettings()
    solvent_ladder: LadderSettings = LadderSettings()
    # Two steps give a ligand of 32 atoms a hysteresis of 9 kT, which is too much (see the benchmark
    # network_weights.py).
    network: tuple[float, ...] = Field(
        (0.35, 0.7, 1.0),
        description="weights of the network between force field and network, above 0 to 1",
    )
    route: Literal["joint", "separate"] = Field(
        "joint",
        description="with both network and force field: one ladder that continues from the force "
        "field to the network at both ends (joint), or a ladder for each (separate)",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.selection is None and self.system.type != "build":
            raise ValueError(
                "the key 'selection' is missing: prepared files do not say which atoms are the "
                "ligand"
            )
        if self.system.type == "build" and self.system.protein is None:
            raise ValueError("system: found a ligand without a protein, allowed: with 'protein'")
        return self

    @property
    def ladders(self) -> tuple[LadderName, ...]:
        """The ladders to sample, of the complex as of the ligand in water."""
        if len(self.potentials) == 1 or self.route == "separate":
            return self.potentials
        return ("joint",)

    @property
    def legs(self) -> dict[Literal["complex", "solvent"], LegTimes]:
        """How long the ladders of each leg are sampled."""
        return {"complex": self.complex_ladder, "solvent": self.solvent_ladder}

"""Settings of a solvation free energy."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from nnpmm.core.fields import Length, Time
from nnpmm.coupling.settings import CouplingConfig
from nnpmm.freeenergy.legs.settings import JointSettings, LadderSettings
from nnpmm.structures.ligands.source import MoleculeSource

__all__ = [
    "SOLVENTS",
    "WATER_MODELS",
    "LadderName",
    "SoluteSettings",
    "SolvationLadder",
    "SolvationSettings",
    "SolventSettings",
]

#: A ladder that is sampled; see ``SolvationSettings.route``.
LadderName = Literal["network", "force field", "joint", "reweighting", "solvent", "vacuum"]
#: Water models by name.
WATER_MODELS = ("tip3p", "tip3pfb", "spce", "opc3", "opc", "tip4pew", "tip4pfb")
#: SMILES of other solvents by name.
SOLVENTS = {
    "toluene": "Cc1ccccc1",
    "acetonitrile": "CC#N",
    "dmso": "CS(C)=O",
    "octanol": "CCCCCCCCO",
    "chloroform": "ClC(Cl)Cl",
    "cyclohexane": "C1CCCCC1",
    "hexane": "CCCCCC",
    "acetone": "CC(C)=O",
    "ethanol": "CCO",
    "methanol": "CO",
}
_OTHER_NAMES = {"water": "tip3p", "1-octanol": "octanol", "n-hexane": "hexane"}


class SoluteSettings(MoleculeSource):
    """The molecule: a SMILES string, a structure file, or Amber files of the molecule alone."""

    charge: int | None = Field(
        None, description="net charge that the molecule must have, in e; null: not checked"
    )


class SolventSettings(MoleculeSource):
    """The solvent: a water model, or a neutral molecule by name or like the solute."""

    _sources: ClassVar[tuple[str, ...]] = ("name", "smiles", "file", "topology")

    name: str | None = Field(
        None,
        description=f"a water model ({', '.join(WATER_MODELS)}) or {', '.join(SOLVENTS)}",
        examples=["toluene"],
    )
    equilibration: Time = Field(
        300.0,
        gt=0,
        description="equilibration of a loosely packed box of a solvent other than water, with "
        "the force field, under constant pressure, in ps",
    )
    permittivity: float | None = Field(
        None,
        ge=1,
        description="static relative permittivity of the solvent's model, for charged solutes; "
        "null: that of the water model, where it is known",
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is None:
            return None
        known = _OTHER_NAMES.get(name.lower(), name.lower())
        if known not in (*WATER_MODELS, *SOLVENTS):
            raise ValueError(
                f"found the solvent {name!r}, allowed: {', '.join((*WATER_MODELS, *SOLVENTS))}, "
                "or a SMILES string"
            )
        return known

    @property
    def water_model(self) -> str | None:
        """The water model; None for other solvents."""
        return self.name if self.name in WATER_MODELS else None

    @property
    def label(self) -> str:
        """What to call the solvent in a report."""
        if self.water_model is not None:
            return f"{self.water_model.upper()} water"
        source = self.file or self.topology
        return self.name or self.smiles or ("" if source is None else source.name)


class SolvationLadder(LadderSettings):
    """The states, how long each is sampled, and whether they exchange replicas."""

    electrostatics: tuple[float, ...] | None = Field(  # type: ignore[assignment]
        None,
        description="factors of the solute's charges, from 1 to 0, at full Lennard-Jones; null: 5 "
        "for a neutral solute, 1 + 8 |Q| for a net charge of Q e",
    )
    exchange: bool = Field(
        True,
        description="whether states exchange replicas; false: each is a separate job, which can "
        "run on another device or host",
    )

    @model_validator(mode="after")
    def _windows_start_from_the_first_state(self) -> Self:
        if not self.exchange and self.equilibrate_from != "first":
            raise ValueError(
                f"found equilibrate_from: {self.equilibrate_from} and exchange: false, allowed: "
                "first; windows are equilibrated independently of each other"
            )
        return self

    def charge_factors(self, charge: int = 0) -> tuple[float, ...]:
        """Return the factors of the charges that are given, or else those for a net charge.

        Linear response gives the derivative of the energy a standard deviation of
        (2 kT |dG|)^1/2, 40 kJ/mol for an ion in water: a step of 1/8 is then 2 kT.

        Args:
            charge: of the solute, e.
        """
        if self.electrostatics is not None:
            return self.electrostatics
        steps = 8 * abs(charge) or 4
        return tuple(1 - step / steps for step in range(steps + 1))


class SolvationSettings(JointSettings):
    """A solvation free energy: the molecule, the solvent, what describes it, and the ladder."""

    solute: SoluteSettings
    solvent: SolventSettings = SolventSettings(name="tip3p")
    padding: Length = Field(
        1.0, gt=0, description="minimum distance between the solute and the faces of the box, in nm"
    )
    cutoff: Length = Field(0.9, gt=0, description="cutoff of the direct-space interactions, in nm")
    coupling: CouplingConfig = Field(
        CouplingConfig(),
        description="coupling of the network's region to the solvent; the force field's own "
        "ladder has none",
    )
    ladder: SolvationLadder = SolvationLadder()
    route: Literal["joint", "separate", "reweighting", "correction"] = Field(
        "joint",
        description="with both network and force field: one ladder that continues from the force "
        "field to the network at both ends (joint), a ladder for each (separate), the force "
        "field's ladder and the energies of the network at its ends (reweighting), or from the "
        "force field to the network in the solvent and in vacuum, which gives the difference "
        "alone (correction)",
    )

    @property
    def decouples(self) -> bool:
        """Whether a ladder decouples the solute, rather than only change its potential."""
        return "vacuum" not in self.ladders

    @property
    def ladders(self) -> tuple[LadderName, ...]:
        """The ladders to sample."""
        if len(self.potentials) == 1 or self.route == "separate":
            return self.potentials
        return ("solvent", "vacuum") if self.route == "correction" else (self.route,)

    @field_validator("solvent", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        """Interpret text as a name if it is known, otherwise as SMILES."""
        if not isinstance(value, str):
            return value
        known = value.lower() in (*WATER_MODELS, *SOLVENTS, *_OTHER_NAMES)
        return {"name" if known else "smiles": value}

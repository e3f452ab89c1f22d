"""Settings of the training of a policy."""

from __future__ import annotations

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.conformers.torsionnet.policy import PolicySettings
from nnpmm.conformers.torsionnet.ppo import PPOSettings
from nnpmm.core.fields import Energy
from nnpmm.core.section import Section
from nnpmm.core.settings.template import commented_file

__all__ = ["TrainingSettings", "settings_template"]


class TrainingSettings(Section):
    """The training of a policy that searches conformers."""

    molecules: tuple[str, ...] = Field(
        (), description="SMILES of the molecules, from easy to hard; null: branched alkanes"
    )
    alkanes: int = Field(64, ge=1, description="number of alkanes")
    fewest_rotors: int = Field(3, ge=1, description="smallest number of rotors of an alkane")
    most_rotors: int = Field(10, ge=1, description="largest number of rotors of an alkane")
    updates: int = Field(
        300, ge=1, description="number of updates; a larger one continues a training"
    )
    episodes: int = Field(8, ge=1, description="number of episodes in each update")
    steps: int = Field(50, ge=2, description="number of conformers in an episode after the first")
    relaxation: int = Field(
        200, ge=1, description="largest number of minimisation steps of each conformer (MMFF94)"
    )
    thermal_energy: Energy = Field(
        "4.184 kJ/mol",  # type: ignore[assignment]
        gt=0,
        description="kT of the Gibbs score",
    )
    threshold: float = Field(
        0.05,
        ge=0,
        le=1,
        description="conformers with a smaller torsion fingerprint deviation are the same",
    )
    goal: float = Field(
        0.6,
        gt=0,
        description="mean score, relative to a Monte Carlo search, at which the number of "
        "molecules doubles",
    )
    window: int = Field(24, ge=1, description="number of episodes in that mean")
    policy: PolicySettings = Field(PolicySettings(), description="network of the policy")
    ppo: PPOSettings = Field(PPOSettings(), description="settings of proximal policy optimisation")
    seed: int = Field(1, ge=0, description="random seed of molecules, weights and episodes")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.fewest_rotors > self.most_rotors:
            raise ValueError(
                f"found fewest_rotors {self.fewest_rotors} above most_rotors {self.most_rotors}"
            )
        return self


def settings_template() -> str:
    """Return a commented settings file with all defaults."""
    header = "# nnpmm torsionnet train: a policy that searches conformers."
    return commented_file(TrainingSettings(), header=header, shown={})

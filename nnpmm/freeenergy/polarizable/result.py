"""From the samples of the two ladders to solvation free energies with their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnpmm.freeenergy.alchemy import STAGES, Stage
from nnpmm.freeenergy.estimators import Estimate, combine
from nnpmm.freeenergy.legs import (
    LegResult,
    PotentialName,
    combine_repeats,
    in_both_units,
    ladders_record,
    leg_directory,
    mean_density,
    solve_leg,
)
from nnpmm.freeenergy.polarizable.ladders import ladder_name, stage_states
from nnpmm.freeenergy.polarizable.settings import AmoebaSolvationSettings
from nnpmm.structures import MMSystem

__all__ = ["PolarizableResult", "evaluate"]


@dataclass(frozen=True)
class PolarizableResult:
    """Solvation free energies of the requested potentials, kJ/mol.

    Attributes:
        potentials: the mean of the repeats for each potential.
        difference: network minus force field; None unless both were requested.
        repeats: the values of all repeats for each potential.
        stages: contributions of the two stages to each potential, means of the repeats. A joint
            ladder gives them for the force field alone, since those of the network would include
            the change of potential.
        ladders: what was sampled, the repeats of each stage.
        density: of the box at full interaction, g/ml.
    """

    potentials: Mapping[PotentialName, Estimate]
    difference: Estimate | None
    repeats: Mapping[PotentialName, tuple[Estimate, ...]]
    stages: Mapping[PotentialName, Mapping[Stage, Estimate]]
    ladders: Mapping[Stage, tuple[LegResult, ...]]
    density: float

    def record(self) -> dict[str, Any]:
        """Return the result in kJ/mol and kcal/mol, as JSON can hold it."""
        found: dict[str, Any] = {"density_g_ml": self.density}
        for name, total in self.potentials.items():
            repeats = [in_both_units(repeat) for repeat in self.repeats[name]]
            found[name] = {**in_both_units(total), "repeats": repeats}
            for stage, part in self.stages.get(name, {}).items():
                found[name][stage] = in_both_units(part)
        if self.difference is not None:
            found["network minus force field"] = in_both_units(self.difference)
        found["ladders"] = ladders_record(self.ladders)
        return found


def evaluate(
    settings: AmoebaSolvationSettings, directory: Path, box: MMSystem
) -> PolarizableResult:
    """Return the solvation free energies from what has been sampled.

    Args:
        settings: settings of the calculation.
        directory: that holds its ladders.
        box: the solute in its solvent.

    Raises:
        InputFileError: a ladder is missing or damaged.
        SimulationError: states overlap too little, or too few samples are independent.
    """
    ladders: dict[Stage, tuple[LegResult, ...]] = {}
    for stage in STAGES:
        names = [state.name for state in stage_states(settings, stage)]
        ladder = ladder_name(settings, stage)
        folders = [leg_directory(directory, ladder, n) for n in range(settings.repeats)]
        ladders[stage] = tuple(solve_leg(folder, names) for folder in folders)
    parts = _parts(settings, ladders)
    repeats = {
        name: tuple(map(_sum, *(found[stage] for stage in STAGES))) for name, found in parts.items()
    }
    totals, difference = combine_repeats(repeats, _differences(settings, ladders))
    stages = {
        name: {stage: combine(values) for stage, values in found.items()}
        for name, found in parts.items()
        if settings.inside == name or name == "force field"  # see the attribute
    }
    volumes = ladders["electrostatics"][0].samples.volumes[:, 0]
    density = mean_density(box.system, volumes)
    return PolarizableResult(totals, difference, repeats, stages, ladders, density)


_Parts = dict[PotentialName, dict[Stage, tuple[Estimate, ...]]]


def _parts(
    settings: AmoebaSolvationSettings, ladders: Mapping[Stage, Sequence[LegResult]]
) -> _Parts:
    """Return the contribution of each stage to each potential in every repeat."""
    found: _Parts = {}
    for potential in settings.potentials:
        # States with a weight of the network above 0 enclose the force field's in a joint ladder.
        inner = settings.inside == "joint" and potential == "force field"
        skipped = len(settings.network) if inner else 0
        found[potential] = {
            "electrostatics": tuple(
                leg.free_energies.between(-1, skipped) for leg in ladders["electrostatics"]
            ),
            "sterics": tuple(
                leg.free_energies.between(-1 - skipped, 0) for leg in ladders["sterics"]
            ),
        }
    return found


def _differences(
    settings: AmoebaSolvationSettings, ladders: Mapping[Stage, Sequence[LegResult]]
) -> list[Estimate]:
    """Return network minus force field of every repeat, from the states between the potentials."""
    if settings.inside != "joint":
        return []
    inner = len(settings.network)
    pairs = zip(ladders["electrostatics"], ladders["sterics"], strict=True)
    return [
        _sum(
            coupled.free_energies.between(inner, 0),
            decoupled.free_energies.between(-1, -1 - inner),
        )
        for coupled, decoupled in pairs
    ]


def _sum(first: Estimate, second: Estimate) -> Estimate:
    """Return the sum of two independent estimates."""
    error = float(np.hypot(first.error, second.error))
    return Estimate(first.value + second.value, error)

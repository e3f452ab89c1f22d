"""From the samples of ladders to solvation free energies with their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML
from nnpmm.freeenergy.estimators import Estimate, combine
from nnpmm.freeenergy.legs import (
    LegResult,
    PotentialName,
    in_both_units,
    leg_directory,
    solve_leg,
)
from nnpmm.freeenergy.solvation.settings import SolvationSettings

__all__ = ["PotentialResult", "SolvationResult", "evaluate"]


@dataclass(frozen=True)
class PotentialResult:
    """The solvation free energy of one potential: the mean of its repeats, kJ/mol."""

    total: Estimate
    legs: tuple[LegResult, ...]


@dataclass(frozen=True)
class SolvationResult:
    """Solvation free energies of the potentials that were asked for.

    Attributes:
        potentials: the result of each.
        names: of the alchemical states, such as ``"q 0.5"`` or ``"LJ 0.3"``.
        density: of the box at full interaction, g/ml, from the first ladder.
    """

    potentials: Mapping[PotentialName, PotentialResult]
    names: tuple[str, ...]
    density: float

    @property
    def difference(self) -> Estimate | None:
        """Network minus force field, kJ/mol; None unless both were calculated.

        The two ladders are independent, so that the variances add up.
        """
        if len(self.potentials) < 2:
            return None
        network, mm = (self.potentials[name].total for name in ("network", "force field"))
        error = float(np.hypot(network.error, mm.error))
        return Estimate(network.value - mm.value, error)

    def record(self) -> dict[str, Any]:
        """Return the result in kJ/mol and kcal/mol, as JSON can hold it."""
        found: dict[str, Any] = {"density_g_ml": self.density, "states": list(self.names)}
        for name, result in self.potentials.items():
            found[name] = {
                **in_both_units(result.total),
                "repeats": [
                    {
                        **in_both_units(leg.coupling),
                        "independent_samples": leg.free_energies.samples.tolist(),
                        "spectral_gap": leg.free_energies.spectral_gap,
                        "iterations": len(leg.samples.energies),
                    }
                    for leg in result.legs
                ],
            }
        if self.difference is not None:
            found["network minus force field"] = in_both_units(self.difference)
        return found


def evaluate(settings: SolvationSettings, directory: Path, mass: float) -> SolvationResult:
    """Return the solvation free energies from what has been sampled.

    Args:
        settings: of the calculation.
        directory: that holds its ladders.
        mass: of the whole box, amu.

    Raises:
        InputFileError: a ladder is not there or damaged.
        SimulationError: states overlap too little, or too few samples are independent.
    """
    names, found = _names(settings), {}
    for potential in settings.potentials:
        legs = [
            solve_leg(leg_directory(directory, potential, repeat), names)
            for repeat in range(settings.repeats)
        ]
        found[potential] = PotentialResult(combine([leg.coupling for leg in legs]), tuple(legs))
    volumes = found[settings.potentials[0]].legs[0].samples.volumes[:, 0]
    return SolvationResult(found, names, float(DALTON_PER_NM3_IN_G_PER_ML * mass / volumes.mean()))


def _names(settings: SolvationSettings) -> tuple[str, ...]:
    ladder = settings.ladder
    return (
        *(f"q {value:g}" for value in ladder.electrostatics),
        *(f"LJ {value:g}" for value in ladder.sterics),
    )

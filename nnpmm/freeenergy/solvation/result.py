"""From the samples of ladders to solvation free energies with their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML, KJ_PER_KCAL
from nnpmm.core.errors import SimulationError
from nnpmm.freeenergy.estimators import Estimate, FreeEnergies, combine
from nnpmm.freeenergy.ladders import Convergence, convergence, solve_ladder
from nnpmm.freeenergy.solvation.settings import PotentialName, SolvationSettings
from nnpmm.sampling import Samples, read_samples

__all__ = ["LegResult", "PotentialResult", "SolvationResult", "evaluate", "leg_directory"]


@dataclass(frozen=True)
class LegResult:
    """What one ladder gives.

    Attributes:
        free_energies: between all of its states; the first is full interaction, the last none.
        convergence: of the solvation free energy's opposite, from the first to the last state.
        samples: that it was calculated from.
    """

    free_energies: FreeEnergies
    convergence: Convergence
    samples: Samples

    @property
    def solvation(self) -> Estimate:
        """G(full interaction) - G(none), kJ/mol: from 1 M gas to 1 M solution."""
        return self.free_energies.between(-1, 0)


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
                **_both(result.total),
                "repeats": [
                    {
                        **_both(leg.solvation),
                        "independent_samples": leg.free_energies.samples.tolist(),
                        "spectral_gap": leg.free_energies.spectral_gap,
                        "iterations": len(leg.samples.energies),
                    }
                    for leg in result.legs
                ],
            }
        if self.difference is not None:
            found["network minus force field"] = _both(self.difference)
        return found


def leg_directory(directory: Path, potential: PotentialName, repeat: int) -> Path:
    """Return the folder of one ladder, repeats counted from 0."""
    return directory / potential.replace(" ", "-") / f"repeat-{repeat + 1}"


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
        legs = []
        for repeat in range(settings.repeats):
            folder = leg_directory(directory, potential, repeat)
            legs.append(_leg(read_samples(folder), names, folder))
        found[potential] = PotentialResult(combine([leg.solvation for leg in legs]), tuple(legs))
    volumes = found[settings.potentials[0]].legs[0].samples.volumes[:, 0]
    return SolvationResult(found, names, float(DALTON_PER_NM3_IN_G_PER_ML * mass / volumes.mean()))


def _leg(samples: Samples, names: tuple[str, ...], folder: Path) -> LegResult:
    try:
        free_energies = solve_ladder(
            samples.windows, temperature=samples.temperature, equilibration=True, names=names
        )
    except SimulationError as error:
        raise SimulationError(f"{folder}: {error}") from error
    return LegResult(
        free_energies, convergence(samples.windows, temperature=samples.temperature), samples
    )


def _names(settings: SolvationSettings) -> tuple[str, ...]:
    ladder = settings.ladder
    return (
        *(f"q {value:g}" for value in ladder.electrostatics),
        *(f"LJ {value:g}" for value in ladder.sterics),
    )


def _both(estimate: Estimate) -> dict[str, float]:
    return {
        "kJ/mol": estimate.value,
        "error_kJ/mol": estimate.error,
        "kcal/mol": estimate.value / KJ_PER_KCAL,
        "error_kcal/mol": estimate.error / KJ_PER_KCAL,
    }

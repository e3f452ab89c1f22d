"""From the samples of a leg to its free energies with their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML, KJ_PER_KCAL
from nnpmm.core.errors import SimulationError
from nnpmm.freeenergy.estimators import Estimate, FreeEnergies, combine
from nnpmm.freeenergy.ladders import Convergence, convergence, solve_ladder
from nnpmm.freeenergy.legs.settings import PotentialName
from nnpmm.sampling import Samples, read_samples

__all__ = [
    "JointValues",
    "LegResult",
    "combine_repeats",
    "in_both_units",
    "ladders_record",
    "mean_density",
    "minus",
    "solve_leg",
    "split_joint",
]

#: Values of the network, of the force field, and their difference, kJ/mol.
JointValues = tuple[Estimate, Estimate, Estimate]


@dataclass(frozen=True)
class LegResult:
    """The result of one ladder.

    Attributes:
        names: of its states, from full interaction to none.
        free_energies: between all of them.
        convergence: of the free energy from the first to the last state.
        samples: that it was calculated from.
    """

    names: tuple[str, ...]
    free_energies: FreeEnergies
    convergence: Convergence
    samples: Samples


def solve_leg(directory: Path, names: Sequence[str]) -> LegResult:
    """Return the free energies of a leg from what has been sampled.

    Args:
        directory: of the leg.
        names: of its states, for error messages.

    Raises:
        InputFileError: the leg is missing or damaged.
        SimulationError: states overlap too little, or too few samples are independent.
    """
    samples = read_samples(directory)
    windows, temperature = samples.windows, samples.temperature
    try:
        free_energies = solve_ladder(
            windows, temperature=temperature, equilibration=True, names=names
        )
    except SimulationError as error:
        raise SimulationError(f"{directory}: {error}") from error
    series = convergence(windows, temperature=temperature)
    return LegResult(tuple(names), free_energies, series, samples)


def split_joint(leg: LegResult, inner: int) -> JointValues:
    """Return the values of both potentials from a joint ladder, and their difference.

    Such a ladder starts and ends with the network; the force field's states are between.

    Args:
        leg: the ladder.
        inner: number of states at each end with a weight of the network above 0.
    """
    free = leg.free_energies
    network = free.between(-1, 0)
    mm = free.between(-1 - inner, inner)
    coefficients = np.zeros(len(free.samples))
    coefficients[[0, -1 - inner]], coefficients[[inner, -1]] = 1.0, -1.0
    return network, mm, free.contrast(coefficients)


def ladders_record(ladders: Mapping[Any, Sequence[LegResult]]) -> dict[str, Any]:
    """Return a record of the sampling of ladders by their names, ready for JSON."""
    return {
        name: {
            "states": list(legs[0].names),
            "repeats": [
                {
                    "independent_samples": leg.free_energies.samples.tolist(),
                    "spectral_gap": leg.free_energies.spectral_gap,
                    "iterations": len(leg.samples.energies),
                }
                for leg in legs
            ],
        }
        for name, legs in ladders.items()
    }


def mean_density(system: openmm.System, volumes: NDArray[np.float64]) -> float:
    """Return the density of a box, g/ml, from its volumes (n,), nm^3.

    The masses are those of the System: hydrogen mass repartitioning does not change their sum.
    """
    masses = (system.getParticleMass(i) for i in range(system.getNumParticles()))
    total = float(sum(mass.value_in_unit(unit.dalton) for mass in masses))
    return float(DALTON_PER_NM3_IN_G_PER_ML * total / volumes.mean())


def minus(first: Estimate, second: Estimate) -> Estimate:
    """Return the difference of two independent estimates."""
    error = float(np.hypot(first.error, second.error))
    return Estimate(first.value - second.value, error)


def combine_repeats(
    repeats: Mapping[PotentialName, Sequence[Estimate]], differences: Sequence[Estimate]
) -> tuple[dict[PotentialName, Estimate], Estimate | None]:
    """Return the mean of each potential, and that of network minus force field.

    Args:
        repeats: values of all repeats for each potential.
        differences: of all repeats, if one ladder gives both potentials; otherwise empty.
    """
    totals = {name: combine(values) for name, values in repeats.items()}
    if differences:
        return totals, combine(differences)
    if len(totals) < 2:
        return totals, None
    # Each potential has its own ladder, so the two errors are independent.
    return totals, minus(totals["network"], totals["force field"])


def in_both_units(estimate: Estimate) -> dict[str, float]:
    """Return an estimate in kJ/mol and kcal/mol, ready for JSON."""
    return {
        "kJ/mol": estimate.value,
        "error_kJ/mol": estimate.error,
        "kcal/mol": estimate.value / KJ_PER_KCAL,
        "error_kcal/mol": estimate.error / KJ_PER_KCAL,
    }

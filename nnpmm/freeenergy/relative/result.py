"""From the samples of ladders to relative free energies, and to one value for each ligand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnpmm.freeenergy.estimators import Estimate, thermal_energy
from nnpmm.freeenergy.legs import (
    LadderName,
    LegResult,
    PotentialName,
    combine_repeats,
    in_both_units,
    ladders_record,
    leg_directory,
    solve_leg,
    split_joint,
)
from nnpmm.freeenergy.relative.ladder import state_names
from nnpmm.freeenergy.relative.network_fit import (
    Agreement,
    Closure,
    Edge,
    NetworkFit,
    close_cycles,
    compare,
    fit_network,
)
from nnpmm.freeenergy.relative.settings import RelativeSettings

__all__ = ["EdgeResult", "NetworkResult", "evaluate_edge", "evaluate_network", "measured_values"]

_LEAST_MEASURED = 3  # ligands, for a comparison


@dataclass(frozen=True)
class EdgeResult:
    """Free energy of binding of the second ligand minus that of the first, kJ/mol.

    Attributes:
        ligands: their names.
        potentials: the mean of the repeats for each potential.
        difference: network minus force field; None unless both were calculated.
        repeats: the values of all repeats for each potential.
        ladders: what was sampled, the repeats of each ladder.
    """

    ligands: tuple[str, str]
    potentials: Mapping[PotentialName, Estimate]
    difference: Estimate | None
    repeats: Mapping[PotentialName, tuple[Estimate, ...]]
    ladders: Mapping[LadderName, tuple[LegResult, ...]]

    def record(self) -> dict[str, Any]:
        """Return the result in kJ/mol and kcal/mol, as JSON can hold it."""
        found: dict[str, Any] = {"ligands": list(self.ligands)}
        for name, total in self.potentials.items():
            repeats = [in_both_units(repeat) for repeat in self.repeats[name]]
            found[name] = {**in_both_units(total), "repeats": repeats}
        if self.difference is not None:
            found["network minus force field"] = in_both_units(self.difference)
        found["ladders"] = ladders_record(self.ladders)
        return found


@dataclass(frozen=True)
class NetworkResult:
    """All edges of a network of ligands, and the results for each potential.

    Attributes:
        edges: the results of the successful edges.
        failures: the reasons of all others, by the names of their ligands.
        closures: of the cycles, for each potential.
        fits: values of the ligands, kJ/mol, with the mean of the measured values of the same
            ligands if there are any, otherwise with the mean zero. Empty if an edge failed.
        agreements: with experiment, where three or more ligands were measured.
    """

    edges: tuple[EdgeResult, ...]
    failures: Mapping[tuple[str, str], str]
    closures: Mapping[PotentialName, tuple[Closure, ...]]
    fits: Mapping[PotentialName, NetworkFit]
    agreements: Mapping[PotentialName, Agreement]

    def record(self) -> dict[str, Any]:
        """Return the result as JSON can hold it; errors of closures and figures in kJ/mol."""
        found: dict[str, Any] = {
            "edges": [edge.record() for edge in self.edges],
            "failed": [{"ligands": list(pair), "reason": r} for pair, r in self.failures.items()],
        }
        for potential, fit in self.fits.items():
            found[potential] = {
                "ligands": {name: in_both_units(fit.estimate(name)) for name in fit.names},
                "chi_square": fit.chi_square,
                "degrees_of_freedom": fit.degrees_of_freedom,
                "cycles": [
                    {"ligands": list(closure.ligands), **in_both_units(closure.sum)}
                    for closure in self.closures[potential]
                ],
            }
            if potential in self.agreements:
                found[potential]["agreement with experiment"] = asdict(self.agreements[potential])
        return found


def evaluate_edge(settings: RelativeSettings, directory: Path) -> EdgeResult:
    """Return the relative free energy of the first edge of the settings from what was sampled.

    Args:
        settings: settings of the calculation.
        directory: that holds the ladders of this edge.

    Raises:
        InputFileError: a ladder is missing or damaged.
        SimulationError: states overlap too little, or too few samples are independent.
    """
    ladders = {
        ladder: tuple(
            solve_leg(leg_directory(directory, ladder, repeat), state_names(settings, ladder))
            for repeat in range(settings.repeats)
        )
        for ladder in settings.ladders
    }
    repeats, differences = _estimates(settings, ladders)
    totals, difference = combine_repeats(repeats, differences)
    return EdgeResult(settings.edges[0], totals, difference, repeats, ladders)


def _estimates(
    settings: RelativeSettings, ladders: Mapping[LadderName, tuple[LegResult, ...]]
) -> tuple[dict[PotentialName, tuple[Estimate, ...]], list[Estimate]]:
    """Return the values of each potential, and their differences where one ladder gives both."""
    if "joint" not in ladders:
        return {
            potential: tuple(leg.free_energies.between() for leg in ladders[potential])
            for potential in settings.potentials
        }, []
    rows = [
        [Estimate(-found.value, found.error) for found in split_joint(leg, len(settings.network))]
        for leg in ladders["joint"]
    ]
    network, mm, differences = ([row[n] for row in rows] for n in range(3))
    return {"network": tuple(network), "force field": tuple(mm)}, differences


def measured_values(settings: RelativeSettings) -> dict[str, float]:
    """Return kT ln(K / 1 M) of the ligands that were measured, kJ/mol."""
    kt = thermal_energy(settings.temperature)
    return {name: float(kt * np.log(value)) for name, value in settings.measured.items()}


def evaluate_network(
    settings: RelativeSettings,
    edges: tuple[EdgeResult, ...],
    failures: Mapping[tuple[str, str], str],
) -> NetworkResult:
    """Return the combined result of the edges of a network.

    Args:
        settings: settings of the calculation.
        edges: results of the successful edges.
        failures: reasons of all others, by the names of their ligands.
    """
    closures: dict[PotentialName, tuple[Closure, ...]] = {}
    fits: dict[PotentialName, NetworkFit] = {}
    agreements: dict[PotentialName, Agreement] = {}
    measured = measured_values(settings)
    for potential in settings.potentials if not failures else ():
        network = [Edge(*edge.ligands, edge.potentials[potential]) for edge in edges]
        fit = fit_network(network).from_mean_of(measured)
        fits[potential], closures[potential] = fit, tuple(close_cycles(network))
        if len(set(measured) & set(fit.names)) >= _LEAST_MEASURED:
            values = dict(zip(fit.names, fit.values.tolist(), strict=True))
            agreements[potential] = compare(values, measured)
    return NetworkResult(edges, failures, closures, fits, agreements)

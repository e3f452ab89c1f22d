"""From the samples of ladders to binding free energies, their parts and their errors.

    dG = complex + restraint + solvent + symmetry

complex: G(bound) - G(restrained and decoupled). restraint: G(restrained) - G(free at 1 M) of the
decoupled ligand, minus `release_free_energy`. solvent: G(decoupled) - G(in water) of the ligand.
symmetry: -kT ln of the number of equivalent poses that were not sampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.freeenergy.binding.boresch import (
    COORDINATES,
    mean_restraint_energy,
    release_free_energy,
    stiff_release_free_energy,
)
from nnpmm.freeenergy.binding.ladders import LegName, leg_states
from nnpmm.freeenergy.binding.pilot import Pilot
from nnpmm.freeenergy.binding.settings import BindingSettings
from nnpmm.freeenergy.estimators import Estimate, combine, thermal_energy
from nnpmm.freeenergy.legs import (
    LadderName,
    LegResult,
    PotentialName,
    in_both_units,
    leg_directory,
    minus,
    solve_leg,
    split_joint,
)

__all__ = [
    "PARTS",
    "BindingResult",
    "evaluate",
    "leg_name",
    "restraint_energies_of_states",
    "symmetry_free_energy",
]

#: Parts of a binding free energy, in the order in which they are shown.
PARTS = ("complex", "restraint", "solvent", "symmetry")
_Ladders = Mapping[LegName, Mapping[LadderName, tuple[LegResult, ...]]]


@dataclass(frozen=True)
class BindingResult:
    """Binding free energies of the requested potentials, kJ/mol, at 1 M.

    Attributes:
        potentials: the sum of the parts for each potential.
        parts: the `PARTS` of each potential, means of the repeats.
        difference: network minus force field; None unless both were requested.
        differences: the parts of the difference, in the complex and in the solvent.
        ladders: the samples, for the repeats of each ladder of each leg.
        record: the complete result in kJ/mol and kcal/mol, ready for JSON.
    """

    potentials: Mapping[PotentialName, Estimate]
    parts: Mapping[PotentialName, Mapping[str, Estimate]]
    difference: Estimate | None
    differences: Mapping[LegName, Estimate]
    ladders: _Ladders
    record: Mapping[str, Any]


def leg_name(leg: LegName, ladder: LadderName) -> str:
    """Return the name of a ladder of a leg, after which its folder is named."""
    return f"{leg} {ladder}"


def evaluate(settings: BindingSettings, directory: Path, pilot: Pilot) -> BindingResult:
    """Return the binding free energies from what has been sampled.

    Args:
        settings: settings of the calculation.
        directory: that holds its ladders.
        pilot: with the restraint.

    Raises:
        InputFileError: a ladder is missing or damaged.
        SimulationError: states overlap too little, or too few samples are independent.
    """
    ladders = {leg: _solve_ladders(settings, directory, leg) for leg in settings.legs}
    restraint = -release_free_energy(pilot.restraint, settings.temperature)
    values = {leg: _leg_values(settings, of_leg) for leg, of_leg in ladders.items()}
    parts = {
        potential: {
            "complex": values["complex"][0][potential],
            "restraint": Estimate(restraint, 0.0),
            "solvent": minus(Estimate(0.0, 0.0), values["solvent"][0][potential]),
            "symmetry": Estimate(symmetry_free_energy(settings), 0.0),
        }
        for potential in settings.potentials
    }
    totals = {potential: _sum(found) for potential, found in parts.items()}
    difference, differences = None, {}
    if len(settings.potentials) == 2:
        differences = {leg: values[leg][1] for leg in values}
        difference = minus(differences["complex"], differences["solvent"])
    record = _record(settings, pilot, totals, parts, difference, ladders)
    return BindingResult(totals, parts, difference, differences, ladders, record)


def symmetry_free_energy(settings: BindingSettings) -> float:
    """Return -kT ln of the number of equivalent poses of which one was sampled, kJ/mol."""
    return -thermal_energy(settings.temperature) * float(np.log(settings.symmetry_number))


def restraint_energies_of_states(leg: LegResult) -> NDArray[np.float64]:
    """Return the energy of the full restraint (samples, states) in a ladder of the complex, kJ/mol.

    It is the energy of the decoupled force-field state minus that of the same without restraint,
    which is evaluated for every sample.
    """
    restrained = max(n for n, name in enumerate(leg.names) if name.startswith("LJ"))
    return np.asarray(leg.samples.energies[:, :, restrained] - leg.samples.evaluated[:, :, 0])


def _solve_ladders(
    settings: BindingSettings, directory: Path, leg: LegName
) -> dict[LadderName, tuple[LegResult, ...]]:
    found = {}
    for ladder in settings.ladders:
        names = tuple(state.name for state in leg_states(settings, leg, ladder))
        folders = (
            leg_directory(directory, leg_name(leg, ladder), n) for n in range(settings.repeats)
        )
        found[ladder] = tuple(solve_leg(folder, names) for folder in folders)
    return found


def _leg_values(
    settings: BindingSettings, ladders: Mapping[LadderName, tuple[LegResult, ...]]
) -> tuple[dict[PotentialName, Estimate], Estimate]:
    """Return G(first) - G(last) of each potential, and network minus force field.

    The difference is 0 if there is one potential only; nothing uses it then.
    """
    if "joint" in ladders:
        rows = [split_joint(leg, len(settings.network)) for leg in ladders["joint"]]
        network, mm, difference = (combine([row[n] for row in rows]) for n in range(3))
        return {"network": network, "force field": mm}, difference
    found: dict[PotentialName, Estimate] = {}
    for potential in settings.potentials:
        legs = ladders[potential]
        found[potential] = combine([leg.free_energies.between(-1, 0) for leg in legs])
    if len(found) < 2:
        return found, Estimate(0.0, 0.0)
    return found, minus(found["network"], found["force field"])


def _sum(parts: Mapping[str, Estimate]) -> Estimate:
    error = float(np.sqrt(sum(part.error**2 for part in parts.values())))
    return Estimate(sum(part.value for part in parts.values()), error)


def _record(
    settings: BindingSettings,
    pilot: Pilot,
    totals: Mapping[PotentialName, Estimate],
    parts: Mapping[PotentialName, Mapping[str, Estimate]],
    difference: Estimate | None,
    ladders: _Ladders,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {
            **in_both_units(total),
            "parts": {part: in_both_units(value) for part, value in parts[name].items()},
        }
        for name, total in totals.items()
    }
    if difference is not None:
        found["network minus force field"] = in_both_units(difference)
    choice, temperature = pilot.choice, settings.temperature
    found["restraint"] = {
        "anchors": dict(zip("cbaABC", choice.restraint.atoms, strict=True)),
        "labels": list(choice.labels),
        "reference_nm_rad": dict(zip(COORDINATES, choice.restraint.reference, strict=True)),
        "reasons": list(choice.reasons),
        "release_kJ/mol": release_free_energy(choice.restraint, temperature),
        "release_stiff_kJ/mol": stiff_release_free_energy(choice.restraint, temperature),
        "decoupled_energy_expected_kJ/mol": mean_restraint_energy(choice.restraint, temperature),
    }
    found["symmetry_number"] = settings.symmetry_number
    found["ladders"] = {
        leg_name(leg, ladder): [_repeat_record(result, leg) for result in results]
        for leg, of_leg in ladders.items()
        for ladder, results in of_leg.items()
    }
    return found


def _repeat_record(result: LegResult, leg: LegName) -> dict[str, Any]:
    """Return the record of one repeat of a ladder, ready for JSON."""
    found: dict[str, Any] = {
        "states": list(result.names),
        **in_both_units(result.free_energies.between(-1, 0)),
        "independent_samples": result.free_energies.samples.tolist(),
        "spectral_gap": result.free_energies.spectral_gap,
        "iterations": len(result.samples.energies),
    }
    if leg == "complex":
        found["restraint_energies_kJ/mol"] = (
            restraint_energies_of_states(result).mean(axis=0).tolist()
        )
    return found

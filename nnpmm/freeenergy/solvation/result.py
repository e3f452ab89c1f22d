"""From the samples of ladders to solvation free energies with their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnpmm.core.errors import SimulationError
from nnpmm.freeenergy.estimators import Estimate
from nnpmm.freeenergy.finite_size import FiniteSizeCorrection
from nnpmm.freeenergy.legs import (
    JointValues,
    LegResult,
    PotentialName,
    combine_repeats,
    in_both_units,
    ladders_record,
    leg_directory,
    mean_density,
    minus,
    solve_leg,
    split_joint,
)
from nnpmm.freeenergy.reweighting import reweight
from nnpmm.freeenergy.solvation.ladders import state_names
from nnpmm.freeenergy.solvation.net_charge import correct_for_box
from nnpmm.freeenergy.solvation.preparation import Prepared
from nnpmm.freeenergy.solvation.settings import LadderName, SolvationSettings

__all__ = ["SolvationResult", "evaluate", "shifted"]


@dataclass(frozen=True)
class SolvationResult:
    """Solvation free energies of the requested potentials, kJ/mol.

    Attributes:
        potentials: the mean of the repeats for each potential; empty if only the difference is
            known. Values of a charged solute include the finite-size correction.
        difference: network minus force field; None unless both were requested.
        repeats: the values of all repeats for each potential.
        ladders: what was sampled, the repeats of each ladder.
        density: of the box at full interaction, g/ml, from the first ladder.
        finite_size: the correction in the values of a charged solute, in addition to the free
            energy in the box; None for a neutral solute.
    """

    potentials: Mapping[PotentialName, Estimate]
    difference: Estimate | None
    repeats: Mapping[PotentialName, tuple[Estimate, ...]]
    ladders: Mapping[LadderName, tuple[LegResult, ...]]
    density: float
    finite_size: FiniteSizeCorrection | None = None

    def record(self) -> dict[str, Any]:
        """Return the result in kJ/mol and kcal/mol, as JSON can hold it."""
        found: dict[str, Any] = {"density_g_ml": self.density}
        for name, total in self.potentials.items():
            repeats = [in_both_units(repeat) for repeat in self.repeats[name]]
            found[name] = {**in_both_units(total), "repeats": repeats}
            if self.finite_size is not None:
                found[name]["in the box"] = in_both_units(shifted(total, -self.finite_size.total))
        if self.finite_size is not None:
            found["finite size"] = _finite_size_record(self.finite_size)
        if self.difference is not None:
            found["network minus force field"] = in_both_units(self.difference)
        found["ladders"] = ladders_record(self.ladders)
        return found


def shifted(estimate: Estimate, shift: float) -> Estimate:
    """Return an estimate plus a known value, kJ/mol."""
    return Estimate(estimate.value + shift, estimate.error)


def _finite_size_record(found: FiniteSizeCorrection) -> dict[str, Any]:
    parts = {f"{name}_kJ/mol": value for name, value in found.terms.items()}
    return {"zero_of_potential": found.zero_of_potential, **parts, "sum_kJ/mol": found.total}


def evaluate(settings: SolvationSettings, directory: Path, prepared: Prepared) -> SolvationResult:
    """Return the solvation free energies from what has been sampled.

    Args:
        settings: settings of the calculation.
        directory: that holds its ladders.
        prepared: the solute in its solvent.

    Raises:
        InputFileError: a ladder is missing or damaged.
        SimulationError: states overlap too little, or too few samples are independent.
    """
    ladders: dict[LadderName, tuple[LegResult, ...]] = {}
    for ladder in settings.ladders:
        names = state_names(settings, ladder)
        folders = [leg_directory(directory, ladder, n) for n in range(settings.repeats)]
        ladders[ladder] = tuple(solve_leg(folder, names) for folder in folders)
    first = ladders[settings.ladders[0]][0].samples
    volumes = first.volumes[:, 0]
    density = mean_density(prepared.box.system, volumes)
    repeats, differences = _estimates(settings, ladders)
    finite_size = correct_for_box(settings, prepared, volumes)
    if finite_size is not None:
        repeats = {
            name: tuple(shifted(value, finite_size.total) for value in found)
            for name, found in repeats.items()
        }
    totals, difference = combine_repeats(repeats, differences)
    return SolvationResult(totals, difference, repeats, ladders, density, finite_size)


_Repeats = Mapping[PotentialName, tuple[Estimate, ...]]


def _estimates(
    settings: SolvationSettings, ladders: Mapping[LadderName, Sequence[LegResult]]
) -> tuple[_Repeats, list[Estimate]]:
    """Return the values of each potential, and their differences where one ladder gives both."""
    found: dict[PotentialName, tuple[Estimate, ...]] = {}
    for potential in settings.potentials:
        if potential in ladders:
            legs = ladders[potential]
            found[potential] = tuple(leg.free_energies.between(-1, 0) for leg in legs)
    if found:
        return found, []
    if "vacuum" in ladders:
        pairs = zip(ladders["solvent"], ladders["vacuum"], strict=True)
        return {}, [minus(*(leg.free_energies.between(-1, 0) for leg in pair)) for pair in pairs]
    split = _split_joint if "joint" in ladders else _split_reweighting
    (legs,) = ladders.values()
    rows = [split(settings, leg) for leg in legs]
    network, mm, differences = ([row[n] for row in rows] for n in range(3))
    return {"network": tuple(network), "force field": tuple(mm)}, differences


def _split_joint(settings: SolvationSettings, leg: LegResult) -> JointValues:
    return split_joint(leg, len(settings.network))


def _split_reweighting(settings: SolvationSettings, leg: LegResult) -> JointValues:
    """Return network, force field and their difference from the force field's samples.

    The difference is G(network) - G(force field) by exponential averaging, in the solvent minus
    without interaction.
    """
    samples, corrections = leg.samples, []
    for state, column, where in ((0, 0, "in the solvent"), (-1, 1, "without the solvent")):
        differences = samples.evaluated[:, state, column] - samples.energies[:, state, state]
        try:
            found = reweight(differences, temperature=samples.temperature)
        except SimulationError as error:
            raise SimulationError(
                f"from the force field to the network {where}: {error}; or set route to joint"
            ) from error
        corrections.append(Estimate(found.difference, found.error))
    mm = leg.free_energies.between(-1, 0)
    difference = minus(*corrections)
    network = Estimate(mm.value + difference.value, float(np.hypot(mm.error, difference.error)))
    return network, mm, difference

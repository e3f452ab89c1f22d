"""A short run of the decoupling ladder, from which its states are placed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from numpy.typing import ArrayLike

from nnpmm.core.errors import ConfigError
from nnpmm.core.files import write_atomically
from nnpmm.core.locks import locked_folder
from nnpmm.freeenergy.legs import (
    Report,
    SamplingSettings,
    claim_folder,
    keep_parameters,
    leg_directory,
    sample_leg,
)
from nnpmm.freeenergy.schedules import place_states, thermodynamic_lengths
from nnpmm.freeenergy.solvation.ladders import create_leg, state_names
from nnpmm.freeenergy.solvation.net_charge import settings_for_solute
from nnpmm.freeenergy.solvation.preparation import prepare
from nnpmm.freeenergy.solvation.settings import SolvationSettings
from nnpmm.sampling import read_samples

__all__ = ["place_decoupling", "run_pilot", "settings_text"]

_SETTINGS = "settings.yaml"
_DIGITS = 4  # of the values of states in settings.yaml


def run_pilot(
    settings: SolvationSettings,
    directory: Path,
    *,
    time: float = 50.0,
    count: int | None = None,
    resume: bool = False,
    report: Report = lambda *_: None,
) -> SolvationSettings:
    """Run the decoupling ladder briefly, and return settings with states placed by its samples.

    The pilot uses the ladder of the force field: the network has the same interactions with the
    solvent. The settings are also written to ``settings.yaml``.

    Args:
        settings: of the calculation for which states are placed.
        directory: of the pilot, created if necessary.
        time: sampled in each state, ps.
        count: number of states to place; by default as many as in the pilot.
        resume: continue the pilot in that folder.
        report: called as it proceeds.

    Raises:
        ConfigError: another calculation is in that folder, or too few states are to be placed.
        SimulationError: neighbouring states of the pilot hardly overlap.
        NnpmmError: the molecule, the solvent or the force field cannot be used.
    """
    ladder = settings.ladder.model_copy(update={"time": time})
    changes = {"potentials": ("force field",), "repeats": 1, "ladder": ladder}
    pilot = settings.model_copy(update=changes)
    with locked_folder(directory):
        claim_folder(pilot, directory, resume=resume)
        pilot = settings_for_solute(pilot)
        prepared = prepare(pilot, directory, _compression_progress(report))
        keep_parameters(directory, prepared.providers)
        folder = leg_directory(directory, "force field", 0)
        leg = create_leg(pilot, prepared.box, "force field")
        sample_leg(*(pilot, ladder, leg, folder), seed=pilot.seed, resume=resume, report=report)
        windows = read_samples(folder).windows
        lengths = thermodynamic_lengths(
            windows,
            temperature=settings.temperature,
            names=state_names(pilot, "force field"),
        )
        electrostatics, sterics = place_decoupling(
            pilot.ladder.charge_factors(), ladder.sterics, lengths, count=count
        )
        placed = settings.ladder.model_copy(
            update={"electrostatics": electrostatics, "sterics": sterics}
        )
        result = settings.model_copy(update={"ladder": placed})
        write_atomically(directory / _SETTINGS, settings_text(result))
    return result


def place_decoupling(
    electrostatics: Sequence[float],
    sterics: Sequence[float],
    lengths: ArrayLike,
    *,
    count: int | None = None,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the two lists of `SolvationLadder` at equal distances in thermodynamic length.

    The state without charges at full Lennard-Jones, where the path turns, is always included.

    Args:
        electrostatics: of the pilot, K_1 values from 1 to 0.
        sterics: of the pilot, K_2 values from below 1 to 0.
        lengths: (K_1 + K_2 - 1,) between its neighbours.
        count: number of states to place; by default K_1 + K_2.

    Raises:
        ConfigError: fewer than three states to place, or values and lengths that do not fit.
    """
    steps = list(map(float, lengths))  # type: ignore[arg-type]
    total = len(electrostatics) + len(sterics) if count is None else count
    if total < 3:
        raise ConfigError(
            f"found {total} states to place, allowed: three or more, as charges are switched off "
            "before Lennard-Jones"
        )
    turn, intervals = len(electrostatics) - 1, total - 1
    share = sum(steps[:turn]) / max(sum(steps), 1e-12)
    first = min(max(round(intervals * share), 1), intervals - 1)
    charges = place_states(electrostatics, steps[:turn], count=first + 1)
    rest = place_states((1.0, *sterics), steps[turn:], count=intervals - first + 1)[1:]
    return tuple(charges.round(_DIGITS).tolist()), tuple(rest.round(_DIGITS).tolist())


def _compression_progress(report: Report) -> Callable[[int, int], None]:
    return lambda done, total: report("compressing the solvent", done, total)


def settings_text(settings: SamplingSettings) -> str:
    """Return settings as YAML, without those that are null."""
    return yaml.safe_dump(_without_nulls(settings.model_dump(mode="json")), sort_keys=False)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return value

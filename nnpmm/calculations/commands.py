"""Commands that a campaign can run: their settings, functions and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from nnpmm.campaigns import Attempt, Quantity
from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError

if TYPE_CHECKING:
    from nnpmm.freeenergy.estimators import Estimate

__all__ = ["COMMANDS", "Command", "find_command"]

_KCAL = "kcal/mol"


@dataclass(frozen=True)
class Command:
    """A command that a campaign can run.

    Attributes:
        read: validates nested settings; it also receives the source for messages, and the folder of
            relative paths.
        run: starts or continues the calculation in the folder of the attempt; returns the results.
    """

    read: Callable[[Any, str, Path], Any]
    run: Callable[[Any, Attempt], list[Quantity]]


def _read(model: type[BaseModel], data: Any, source: str, base: Path) -> BaseModel:
    from nnpmm.core.settings.reading import parse_settings

    return parse_settings(model, data, source=source, base=base)


def _read_run(data: Any, source: str, base: Path) -> BaseModel:
    from nnpmm.simulation import parse_config

    return parse_config(data, source=source, base=base)


def _read_solvation(data: Any, source: str, base: Path) -> BaseModel:
    from nnpmm.freeenergy.solvation import SolvationSettings

    return _read(SolvationSettings, data, source, base)


def _read_binding(data: Any, source: str, base: Path) -> BaseModel:
    from nnpmm.freeenergy.binding import BindingSettings

    return _read(BindingSettings, data, source, base)


def _read_edge(data: Any, source: str, base: Path) -> Any:
    from nnpmm.freeenergy.relative import RelativeSettings

    settings: Any = _read(RelativeSettings, data, source, base)
    if len(settings.edges) != 1:
        raise ConfigError(
            f"{source}: edges: found {len(settings.edges)} pairs, allowed in a row of the list: one"
        )
    return settings


def _read_scan(data: Any, source: str, base: Path) -> BaseModel:
    from nnpmm.torsions import ScanSettings

    return _read(ScanSettings, data, source, base)


def _read_conformers(data: Any, source: str, base: Path) -> BaseModel:
    from nnpmm.conformers import ConformerSettings

    return _read(ConformerSettings, data, source, base)


def _run(settings: Any, attempt: Attempt) -> list[Quantity]:
    from nnpmm import simulation

    threads = settings.platform.threads or attempt.threads
    own = settings.model_copy(
        update={
            "platform": settings.platform.model_copy(update={"threads": threads}),
            "output": settings.output.model_copy(update={"directory": attempt.work}),
        }
    )
    result = simulation.run(own, resume=True, progress=False)
    if result.signal_number is not None:
        raise KeyboardInterrupt  # the campaign stops; the run has a checkpoint
    return [Quantity("simulated", result.time_ps, None, "ps"), *_averages(result.log)]


def _averages(log: Path) -> list[Quantity]:
    """Return averages over the production of a run, if there is one, with their standard errors."""
    from nnpmm.analysis.averages import average
    from nnpmm.simulation.record.energy_log import read_log

    stages, columns = read_log(log)
    rows = np.array([stage == "production" for stage in stages])
    found = []
    for name, column, unit in (
        ("potential energy", "potential_energy_kj_mol", "kJ/mol"),
        ("network energy", "nnp_energy_kj_mol", "kJ/mol"),
        ("temperature", "temperature_k", "K"),
        ("density", "density_g_ml", "g/ml"),
    ):
        mean = average(columns[column][rows])
        found.append(Quantity(name, mean.value, mean.error, unit))
    return found


def _with_threads(settings: Any, attempt: Attempt) -> Any:
    return settings.model_copy(update={"threads": settings.threads or attempt.threads})


def _solvation(settings: Any, attempt: Attempt) -> list[Quantity]:
    from nnpmm.freeenergy.solvation import run_solvation

    result = run_solvation(_with_threads(settings, attempt), attempt.work, resume=True)
    return _free_energies(result.potentials, result.difference)


def _binding(settings: Any, attempt: Attempt) -> list[Quantity]:
    from nnpmm.freeenergy.binding import run_binding

    result = run_binding(_with_threads(settings, attempt), attempt.work, resume=True)
    return _free_energies(result.potentials, result.difference)


def _edge(settings: Any, attempt: Attempt) -> list[Quantity]:
    from nnpmm.freeenergy.relative import run_edge

    result = run_edge(_with_threads(settings, attempt), attempt.work, resume=True)
    return _free_energies(result.potentials, result.difference)


def _free_energies(
    potentials: Mapping[Any, Estimate], difference: Estimate | None
) -> list[Quantity]:
    found = dict(potentials)
    if difference is not None:
        found["network minus force field"] = difference
    return [
        Quantity(name, one.value / KJ_PER_KCAL, one.error / KJ_PER_KCAL, _KCAL)
        for name, one in found.items()
    ]


def _scan(settings: Any, attempt: Attempt) -> list[Quantity]:
    from nnpmm.torsions import bond_errors, run_scan
    from nnpmm.torsions.profiles import relative
    from nnpmm.torsions.workflow import FORCE_FIELD

    result = run_scan(settings, attempt.work)
    found = [Quantity("bonds", len(result.scan.bonds))]
    for place, bond in enumerate(result.scan.bonds):
        height = float(relative(result.scan.energies[place]).max())
        found.append(Quantity(f"barrier of {bond.name}", height / KJ_PER_KCAL, None, _KCAL))
        errors = bond_errors(result, place)
        if FORCE_FIELD in errors:
            rmse = errors[FORCE_FIELD].rmse / KJ_PER_KCAL
            found.append(Quantity(f"RMSE of the force field, {bond.name}", rmse, None, _KCAL))
    return found


def _conformers(settings: Any, attempt: Attempt) -> list[Quantity]:
    from nnpmm.conformers import run_conformers

    result = run_conformers(settings, attempt.work)
    populations, spreads = result.ensemble.populations, result.ensemble.population_spread
    found = [
        Quantity("conformers", len(populations)),
        Quantity("population of the lowest", 100 * populations[0], 100 * spreads[0], "%"),
    ]
    if result.strain is not None:
        strain, spread = result.strain.restrained / KJ_PER_KCAL, result.strain.spread / KJ_PER_KCAL
        found.append(Quantity("strain of the pose", strain, spread, _KCAL))
    return found


#: Commands by name.
COMMANDS: dict[str, Command] = {
    "run": Command(_read_run, _run),
    "solvation": Command(_read_solvation, _solvation),
    "binding": Command(_read_binding, _binding),
    "binding-relative": Command(_read_edge, _edge),
    "scan": Command(_read_scan, _scan),
    "conformers": Command(_read_conformers, _conformers),
}


def find_command(name: str) -> Command:
    """Return the command of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in COMMANDS:
        raise ConfigError(f"found the command {name!r}, allowed: {', '.join(COMMANDS)}")
    return COMMANDS[name]

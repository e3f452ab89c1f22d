"""A solvation free energy from settings to report, in one folder that can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from openmm import unit

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.files import require_folder, write_atomically
from nnpmm.core.locks import locked
from nnpmm.freeenergy.ladders import write_xvg
from nnpmm.freeenergy.solvation.leg import Report, sample_leg
from nnpmm.freeenergy.solvation.report import write_report
from nnpmm.freeenergy.solvation.result import SolvationResult, evaluate, leg_directory
from nnpmm.freeenergy.solvation.settings import PotentialName, SolvationSettings
from nnpmm.freeenergy.solvation.solute import read_solute, solvated_solute
from nnpmm.structures import MMSystem

__all__ = ["run_solvation"]

_SETTINGS, _RESULT, _REPORT, _LOCK = "settings.json", "result.json", "report.html", ".lock"
#: Is told which ladder is next, and how many there are; returns what is told its progress.
Announce = Callable[[PotentialName, int, int], Report]


def run_solvation(
    settings: SolvationSettings,
    directory: Path,
    *,
    resume: bool = False,
    announce: Announce = lambda *_: lambda *_: None,
) -> SolvationResult:
    """Calculate the solvation free energy of a molecule.

    ::

        settings.json           what is calculated
        network/repeat-1/       one ladder; see nnpmm.sampling.record
        force-field/repeat-1/
        alchemlyb/              energies of each ladder for alchemlyb
        result.json             free energies and their errors
        report.html             the same to read, with pictures

    Args:
        settings: of the calculation.
        directory: to write to; made if need be.
        resume: go on with the calculation in that folder. Its settings must be the same, but for
            ``potentials``, ``repeats``, the ladder's ``time``, the platform and its threads.
        announce: see `Announce`.

    Raises:
        ConfigError: a calculation is there and is not to be resumed, or has other settings.
        NnpmmError: the molecule, the network or the force field is not usable, the simulation blew
            up, or states overlap too little.
    """
    require_folder(directory)
    message = f"{directory}: another process works in this folder; wait, or take another"
    with locked(directory / _LOCK, message):
        _claim(settings, directory, resume=resume)
        molecule, parameters = read_solute(settings.solute, settings.seed)
        box = solvated_solute(settings, molecule, parameters)
        for potential in settings.potentials:
            for repeat in range(settings.repeats):
                folder = leg_directory(directory, potential, repeat)
                sample_leg(
                    *(settings, box, potential, repeat, folder),
                    resume=resume,
                    report=announce(potential, repeat + 1, settings.repeats),
                )
        result = evaluate(settings, directory, _mass(box))
        record = {**result.record(), "parameters": parameters.provider}
        write_atomically(directory / _RESULT, json.dumps(record, indent=1) + "\n")
        _write_energies(settings, directory, result)
        write_report(directory / _REPORT, settings, molecule, parameters.provider, result)
    return result


def _claim(settings: SolvationSettings, directory: Path, *, resume: bool) -> None:
    """Write the settings to a new folder, or check that those of an old one are the same."""
    path = directory / _SETTINGS
    if not path.exists():
        write_atomically(path, settings.model_dump_json(indent=1) + "\n")
        return
    if not resume:
        raise ConfigError(f"{directory}: holds a calculation; resume it, or take another folder")
    try:
        there = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}: cannot be read ({error})") from error
    wanted = json.loads(settings.model_dump_json())
    for name in wanted:
        if name not in _MAY_CHANGE and _fixed(there.get(name)) != _fixed(wanted[name]):
            raise ConfigError(
                f"{directory}: was started with {name} {there.get(name)}, found {wanted[name]}; "
                "take the same, or another folder"
            )
    write_atomically(path, settings.model_dump_json(indent=1) + "\n")


_MAY_CHANGE = {"potentials", "repeats", "platform", "threads"}


def _fixed(value: object) -> object:
    """Return a setting without the length of the ladder's sampling, which may change."""
    if isinstance(value, dict):
        return {name: inner for name, inner in value.items() if name != "time"}
    return value


def _mass(box: MMSystem) -> float:
    """Return the mass of a box, amu; that of its atoms, which repartitioning keeps."""
    masses = (box.system.getParticleMass(i) for i in range(box.system.getNumParticles()))
    return float(sum(mass.value_in_unit(unit.dalton) for mass in masses))


def _write_energies(settings: SolvationSettings, directory: Path, result: SolvationResult) -> None:
    ladder = settings.ladder
    lambdas = {
        "coul": [*ladder.electrostatics, *(0.0 for _ in ladder.sterics)],
        "vdw": [*(1.0 for _ in ladder.electrostatics), *ladder.sterics],
    }
    for potential, found in result.potentials.items():
        for repeat, leg in enumerate(found.legs):
            folder = leg_directory(directory / "alchemlyb", potential, repeat)
            write_xvg(
                *(folder, leg.samples.windows, lambdas),
                temperature=settings.temperature,
                interval=leg.samples.interval,
            )

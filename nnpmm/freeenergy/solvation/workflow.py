"""A solvation free energy from settings to report, in one folder that can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nnpmm.campaigns import ClusterSettings, ReportCallback
from nnpmm.core.files import write_atomically
from nnpmm.core.locks import locked_folder
from nnpmm.freeenergy.legs import (
    Announce,
    Ladder,
    claim_folder,
    keep_parameters,
    require_network,
    sample_repeats,
    write_energies,
)
from nnpmm.freeenergy.solvation.ladders import create_leg, lambda_values
from nnpmm.freeenergy.solvation.net_charge import settings_for_solute
from nnpmm.freeenergy.solvation.preparation import Prepared, prepare
from nnpmm.freeenergy.solvation.report import write_report
from nnpmm.freeenergy.solvation.result import SolvationResult, evaluate
from nnpmm.freeenergy.solvation.settings import LadderName, SolvationSettings
from nnpmm.freeenergy.solvation.windows import sample_windows

__all__ = ["run_solvation"]

_RESULT, _REPORT = "result.json", "report.html"


def run_solvation(
    settings: SolvationSettings,
    directory: Path,
    *,
    resume: bool = False,
    announce: Announce = lambda *_: lambda *_: None,
    compressing: Callable[[int, int], None] = lambda *_: None,
    cluster: ClusterSettings | None = None,
    windows: ReportCallback | None = None,
) -> SolvationResult:
    """Calculate the solvation free energy of a molecule.

    ::

        settings.json           what is calculated
        box.safetensors         the box of another solvent than water
        joint/repeat-1/         one ladder; see nnpmm.sampling.record
        windows/                results of independent windows, with ladder.exchange off
        alchemlyb/              energies of each ladder for alchemlyb
        result.json             free energies and their errors
        report.html             the same to read, with pictures

    Args:
        settings: settings of the calculation.
        directory: output folder, created if necessary.
        resume: continue the calculation in that folder. Its settings must be the same, except for
            ``potentials``, ``repeats``, the ladder's ``time``, the platform and its threads.
        announce: see `nnpmm.freeenergy.legs.Announce`.
        compressing: called with the time of the compression of a solvent other than water that is
            done, and the total, ps.
        cluster: where independent windows run, with ``ladder.exchange`` off; one after the other in
            this process if None.
        windows: called with every such window that ends.

    Raises:
        ConfigError: the folder has a calculation and ``resume`` is not set, or its settings differ.
        NnpmmError: the molecule, the network or the force field cannot be used, the simulation blew
            up, or states overlap too little.
    """
    require_network(settings)
    with locked_folder(directory):
        claim_folder(settings, directory, resume=resume)
        settings = settings_for_solute(settings)
        prepared = prepare(settings, directory, compressing)
        keep_parameters(directory, prepared.providers)
        if settings.ladder.exchange:
            ladders = [_ladder(settings, prepared, name) for name in settings.ladders]
            sample_repeats(settings, ladders, directory, resume=resume, announce=announce)
        else:
            where = cluster or ClusterSettings(kind="serial", threads=settings.threads or 1)
            sample_windows(prepared.settings, directory, where, windows)
        result = evaluate(settings, directory, prepared)
        record = {**result.record(), **prepared.sources}
        write_atomically(directory / _RESULT, json.dumps(record, indent=1) + "\n")
        _write_energies(settings, directory, result)
        write_report(directory / _REPORT, settings, prepared.molecule, prepared.sources, result)
    return result


def _ladder(settings: SolvationSettings, prepared: Prepared, name: LadderName) -> Ladder:
    system = prepared.system_of(name)
    return Ladder(name, settings.ladder, partial(create_leg, settings, system, name))


def _write_energies(settings: SolvationSettings, directory: Path, result: SolvationResult) -> None:
    for ladder, legs in result.ladders.items():
        write_energies(directory, ladder, legs, lambda_values(settings, ladder))

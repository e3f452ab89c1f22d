"""A solvation free energy with AMOEBA from settings to report, in a folder that can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nnpmm.core.files import write_atomically
from nnpmm.core.locks import locked_folder
from nnpmm.freeenergy.alchemy import STAGES
from nnpmm.freeenergy.legs import (
    Announce,
    Ladder,
    claim_folder,
    require_network,
    sample_repeats,
    write_energies,
)
from nnpmm.freeenergy.polarizable.ladders import create_leg, ladder_name, stage_states
from nnpmm.freeenergy.polarizable.report import write_report
from nnpmm.freeenergy.polarizable.result import PolarizableResult, evaluate
from nnpmm.freeenergy.polarizable.settings import AmoebaSolvationSettings
from nnpmm.freeenergy.polarizable.solvent import prepare_box

__all__ = ["run_amoeba_solvation"]

_RESULT, _REPORT = "result.json", "report.html"
_LAMBDAS = {"electrostatics": "coul", "sterics": "vdw"}  # alchemlyb's names


def run_amoeba_solvation(
    settings: AmoebaSolvationSettings,
    directory: Path,
    *,
    resume: bool = False,
    announce: Announce = lambda *_: lambda *_: None,
    compressing: Callable[[int, int], None] = lambda *_: None,
) -> PolarizableResult:
    """Calculate the solvation free energy of a molecule in a box of AMOEBA.

    ::

        settings.json                          what is calculated
        box.xyz, box.safetensors               a box that is built, as packed and compressed
        joint-electrostatics/repeat-1/         one ladder; see nnpmm.sampling.record
        joint-sterics/repeat-1/                the other one
        alchemlyb/                             energies of each ladder for alchemlyb
        result.json                            free energies and their errors
        report.html                            the same to read, with pictures

    Args:
        settings: settings of the calculation.
        directory: output folder, created if necessary.
        resume: continue the calculation in that folder. Its settings must be the same, except for
            ``potentials``, ``repeats``, the ladder's ``time``, the platform and its threads.
        announce: see `nnpmm.freeenergy.legs.Announce`.
        compressing: called with the time of a box's compression that is done and the whole, ps.

    Raises:
        ConfigError: the folder has a calculation and ``resume`` is not set, or its settings differ.
        NnpmmError: the files, the network or the solute cannot be used, the simulation blew up, or
            states overlap too little.
    """
    require_network(settings)
    with locked_folder(directory):
        claim_folder(settings, directory, resume=resume)
        box = prepare_box(settings, directory, compressing)
        ladders = [
            Ladder(
                ladder_name(settings, stage),
                settings.ladder,
                partial(create_leg, settings, box, stage),
            )
            for stage in STAGES
        ]
        sample_repeats(settings, ladders, directory, resume=resume, announce=announce)
        result = evaluate(settings, directory, box)
        write_atomically(directory / _RESULT, json.dumps(result.record(), indent=1) + "\n")
        _write_energies(settings, directory, result)
        write_report(directory / _REPORT, settings, result)
    return result


def _write_energies(
    settings: AmoebaSolvationSettings, directory: Path, result: PolarizableResult
) -> None:
    for stage, legs in result.ladders.items():
        states = stage_states(settings, stage)
        lambdas = {_LAMBDAS[stage]: [state.coupling for state in states]}
        if settings.inside == "joint":
            lambdas["nnp"] = [state.nnp or 0.0 for state in states]
        write_energies(directory, ladder_name(settings, stage), legs, lambdas)

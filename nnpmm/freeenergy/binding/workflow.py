"""An absolute binding free energy from settings to report, in one folder that can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nnpmm.core.files import write_atomically
from nnpmm.core.locks import locked_folder
from nnpmm.freeenergy.alchemy import decouple
from nnpmm.freeenergy.binding.complexes import ligand_in_water, load_complex
from nnpmm.freeenergy.binding.ladders import (
    complex_leg,
    lambda_values,
    leg_states,
    solvent_leg,
)
from nnpmm.freeenergy.binding.pilot import Pilot, run_pilot
from nnpmm.freeenergy.binding.report import write_report
from nnpmm.freeenergy.binding.result import BindingResult, evaluate, leg_name
from nnpmm.freeenergy.binding.settings import BindingSettings
from nnpmm.freeenergy.binding.site import Solute
from nnpmm.freeenergy.legs import (
    Announce,
    Ladder,
    claim_folder,
    keep_parameters,
    require_network,
    sample_repeats,
    write_energies,
)
from nnpmm.structures import MMSystem

__all__ = ["run_binding"]

_RESULT, _REPORT, _PILOT = "result.json", "report.html", "pilot.safetensors"


def run_binding(
    settings: BindingSettings,
    directory: Path,
    *,
    resume: bool = False,
    announce: Announce = lambda *_: lambda *_: None,
    explain: Callable[[str], None] = lambda _: None,
) -> BindingResult:
    """Calculate the absolute binding free energy of a ligand.

    ::

        settings.json             what is calculated
        pilot.safetensors         the restraint, from a short run
        complex-joint/repeat-1/   one ladder; see nnpmm.sampling.record
        solvent-joint/repeat-1/
        alchemlyb/                energies of each ladder for alchemlyb
        result.json               free energies, their parts and errors
        report.html               the same to read, with pictures

    Args:
        settings: settings of the calculation.
        directory: output folder, created if necessary.
        resume: continue the calculation in that folder. Its settings must be the same, except for
            ``potentials``, ``repeats``, the ladders' ``time``, the platform and its threads.
        announce: see `nnpmm.freeenergy.legs.Announce`.
        explain: is called with each reason for the choice of the anchors.

    Raises:
        ConfigError: the folder has a calculation and ``resume`` is not set, or its settings differ.
        NnpmmError: the complex, the network or the force field cannot be used, the simulation blew
            up, the ligand left its site, or states overlap too little.
    """
    require_network(settings)
    with locked_folder(directory):
        claim_folder(settings, directory, resume=resume)
        mm = load_complex(settings)
        keep_parameters(directory, mm.ligand_parameters)
        solute = Solute(mm)
        box = ligand_in_water(settings, mm)
        _refuse_before_sampling(settings, mm, box)
        report = announce("short run of the complex", 1, 1)
        pilot = run_pilot(settings, mm, solute, directory / _PILOT, report)
        for reason in (*pilot.choice.reasons, f"anchors: {', '.join(pilot.choice.labels)}"):
            explain(reason)
        # The ladders of the ligand in water take less time, so errors in the settings show early.
        ladders = [
            *_solvent_ladders(settings, box),
            *_complex_ladders(settings, mm, pilot, solute),
        ]
        sample_repeats(settings, ladders, directory, resume=resume, announce=announce)
        result = evaluate(settings, directory, pilot)
        write_atomically(directory / _RESULT, json.dumps(result.record, indent=1) + "\n")
        _write_energies(settings, directory, result)
        write_report(directory / _REPORT, settings, mm, solute, pilot, result)
    return result


def _refuse_before_sampling(settings: BindingSettings, mm: MMSystem, box: MMSystem) -> None:
    """Refuse a System that cannot be decoupled, or a network for it, before the short run."""
    assert mm.ligand_atoms is not None  # the complex was loaded with them
    decouple(mm.system, mm.ligand_atoms)
    for ladder in settings.ladders:
        solvent_leg(settings, box, ladder)


def _solvent_ladders(settings: BindingSettings, box: MMSystem) -> list[Ladder]:
    return [
        Ladder(
            leg_name("solvent", ladder),
            settings.legs["solvent"],
            partial(solvent_leg, settings, box, ladder),
        )
        for ladder in settings.ladders
    ]


def _complex_ladders(
    settings: BindingSettings, mm: MMSystem, pilot: Pilot, solute: Solute
) -> list[Ladder]:
    return [
        Ladder(
            leg_name("complex", ladder),
            settings.legs["complex"],
            partial(complex_leg, settings, mm, pilot, solute, ladder),
        )
        for ladder in settings.ladders
    ]


def _write_energies(settings: BindingSettings, directory: Path, result: BindingResult) -> None:
    for leg, ladders in result.ladders.items():
        for ladder, repeats in ladders.items():
            lambdas = lambda_values(leg_states(settings, leg, ladder))
            write_energies(directory, leg_name(leg, ladder), repeats, lambdas)

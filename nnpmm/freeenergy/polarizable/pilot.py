"""A short run of both ladders, from which their states are placed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from nnpmm.core.files import write_atomically
from nnpmm.core.locks import locked_folder
from nnpmm.freeenergy.alchemy import STAGES
from nnpmm.freeenergy.legs import Report, claim_folder, leg_directory, sample_leg
from nnpmm.freeenergy.polarizable.ladders import create_leg, ladder_name, stage_states
from nnpmm.freeenergy.polarizable.settings import AmoebaSolvationSettings
from nnpmm.freeenergy.polarizable.solvent import prepare_box
from nnpmm.freeenergy.schedules import thermodynamic_lengths
from nnpmm.freeenergy.solvation.pilot import place_decoupling, settings_text
from nnpmm.sampling import read_samples

__all__ = ["run_amoeba_pilot"]

_SETTINGS = "settings.yaml"


def run_amoeba_pilot(
    settings: AmoebaSolvationSettings,
    directory: Path,
    *,
    time: float = 50.0,
    count: int | None = None,
    resume: bool = False,
    report: Report = lambda *_: None,
) -> AmoebaSolvationSettings:
    """Run both ladders of the force field briefly, and return settings with states placed by them.

    Interactions with the solvent are the same for the network. The settings are also written to
    ``settings.yaml``.

    Args:
        settings: of the calculation to come.
        directory: of the pilot, created if necessary.
        time: sampled in each state, ps.
        count: number of states to place, with the common state of the ladders counted once; by
            default as many as in the pilot.
        resume: continue the pilot in that folder.
        report: called as it proceeds.

    Raises:
        ConfigError: another calculation is in that folder, or too few states are to be placed.
        SimulationError: neighbouring states of the pilot hardly overlap.
        NnpmmError: the files or the solute cannot be used.
    """
    ladder = settings.ladder.model_copy(update={"time": time})
    changes = {"potentials": ("force field",), "repeats": 1, "ladder": ladder}
    pilot = settings.model_copy(update=changes)
    with locked_folder(directory):
        claim_folder(pilot, directory, resume=resume)
        box = prepare_box(pilot, directory, partial(report, "compressing the solvent"))
        lengths: list[float] = []
        for stage in STAGES:
            folder = leg_directory(directory, ladder_name(pilot, stage), 0)
            leg = create_leg(pilot, box, stage)
            sample_leg(*(pilot, ladder, leg, folder), seed=pilot.seed, resume=resume, report=report)
            found = thermodynamic_lengths(
                read_samples(folder).windows,
                temperature=settings.temperature,
                names=[state.name for state in stage_states(pilot, stage)],
            )
            lengths.extend(found.tolist())
        electrostatics, sterics = place_decoupling(
            *(ladder.electrostatics, ladder.sterics, lengths), count=count
        )
        placed = {"electrostatics": electrostatics, "sterics": sterics}
        update = {"ladder": settings.ladder.model_copy(update=placed)}
        result = settings.model_copy(update=update)
        write_atomically(directory / _SETTINGS, settings_text(result))
    return result

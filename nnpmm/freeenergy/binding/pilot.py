"""A short run of the complex with the force field and without a restraint, to choose the anchors.

It is done once, so that all ladders and repeats have the same restraint. A file stores its result::

    pilot.safetensors    restraint, site, coordinates of the anchors, and where the run ended
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit
from pydantic import ValidationError

from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.errors import ConfigError, InputFileError, SimulationError
from nnpmm.core.section import first_problem
from nnpmm.freeenergy.binding.anchors import AnchorChoice, choose_anchors, describe_anchors
from nnpmm.freeenergy.binding.boresch import BoreschRestraint
from nnpmm.freeenergy.binding.settings import BindingSettings
from nnpmm.freeenergy.binding.site import Site, Solute
from nnpmm.freeenergy.legs import Report, create_simulation
from nnpmm.structures import MMSystem

__all__ = ["Pilot", "run_pilot"]

_MINIMIZATION_TOLERANCE = 50.0  # kJ/mol/nm
_CHUNK = 1000  # steps between two reports
_WHEN = "in the short run without a restraint"  # for messages


@dataclass(frozen=True, eq=False)
class Pilot:
    """The result of the short run.

    Attributes:
        choice: the restraint with its reasons.
        site: the ligand's site at the start.
        displacements: (frames,) of the ligand's centre in its site, nm.
        positions: (n, 3) of all atoms at the end of the run, nm.
        box: periodic box vectors at the end, as rows (3, 3), nm.
    """

    choice: AnchorChoice
    site: Site
    displacements: NDArray[np.float64]
    positions: NDArray[np.float64]
    box: NDArray[np.float64]

    @property
    def restraint(self) -> BoreschRestraint:
        """The restraint."""
        return self.choice.restraint

    def moved(self, mm: MMSystem) -> MMSystem:
        """Return the complex as it was at the end of the run."""
        return replace(mm, positions=self.positions, box_vectors=self.box)


def run_pilot(
    settings: BindingSettings, mm: MMSystem, solute: Solute, path: Path, report: Report
) -> Pilot:
    """Run the complex without a restraint and choose anchors, or read the stored result.

    Args:
        settings: settings of the calculation.
        mm: the complex.
        solute: receptor and ligand.
        path: of the file.
        report: is called as the run proceeds.

    Raises:
        ConfigError: given anchors are not atoms of receptor and ligand, or nearly collinear.
        SimulationError: the run blew up, the ligand left its site, or no anchors were found.
        InputFileError: the file is damaged.
    """
    if path.exists():
        return _read(path)
    rows = _given_rows(settings, solute)
    start = solute.positions(mm.positions, mm.box_vectors)
    site = Site.around(mm.topology, solute, start, settings.restraint.site_radius)
    frames, displacements, positions, box = _simulate(settings, mm, solute, site, report)
    springs = settings.restraint.distance_constant, settings.restraint.angle_constant
    run = (mm.topology, solute, site, frames)
    if rows is None:
        choice = choose_anchors(*run, springs=springs, temperature=settings.temperature)
    else:
        choice = describe_anchors(
            *(*run, rows),
            springs=springs,
            temperature=settings.temperature,
            reasons=("the anchors are those of the settings",),
        )
    pilot = Pilot(choice, site, displacements, positions, box)
    _save(path, pilot)
    return pilot


def _given_rows(settings: BindingSettings, solute: Solute) -> tuple[int, ...] | None:
    """Return the rows of given anchors in the solute; None if the settings give none."""
    anchors = settings.restraint.anchors
    if anchors is None:
        return None
    rows = {int(atom): row for row, atom in enumerate(solute.atoms)}
    found = [rows.get(atom, -1) for atom in anchors]
    valid = np.isin(found[:3], solute.receptor).all() and np.isin(found[3:], solute.ligand).all()
    if len(set(anchors)) < 6 or not valid:
        raise ConfigError(
            f"restraint.anchors: found {list(anchors)}, allowed: six different atoms, three of the "
            "receptor and then three of the ligand"
        )
    return tuple(found)


_Array = NDArray[np.float64]


def _simulate(
    settings: BindingSettings, mm: MMSystem, solute: Solute, site: Site, report: Report
) -> tuple[_Array, _Array, _Array, _Array]:
    """Return frames of the solute, displacements of the ligand, last positions and last box."""
    times = settings.pilot
    simulation = create_simulation(settings, copy.deepcopy(mm.system), mm, settings.seed)
    context = simulation.context
    steps = max(1, round(times.interval / settings.timestep))
    count = round(times.length / times.interval)
    frames, displacements = [], []
    try:
        openmm.LocalEnergyMinimizer.minimize(context, _MINIMIZATION_TOLERANCE)
        context.setVelocitiesToTemperature(settings.temperature, settings.seed)
        _advance(simulation, round(times.equilibration / settings.timestep), report)
        for number in range(count):
            simulation.integrator.step(steps)
            positions, box = _state(context)
            if not np.isfinite(positions).all():
                raise SimulationError("the short run blew up: positions are not finite")
            frames.append(solute.positions(positions, box))
            displacements.append(site.require_bound(frames[-1], _WHEN))
            report("choosing anchors", number + 1, count)
    except openmm.OpenMMException as error:
        raise SimulationError(f"the short run blew up: {error}") from error
    return np.array(frames), np.array(displacements), *_state(context)


def _advance(simulation: app.Simulation, steps: int, report: Report) -> None:
    for done in range(0, steps, _CHUNK):
        simulation.integrator.step(min(_CHUNK, steps - done))
        report("equilibrating", min(done + _CHUNK, steps), steps)


def _state(context: openmm.Context) -> tuple[_Array, _Array]:
    """Return positions (n, 3) and box vectors (3, 3), nm."""
    state = context.getState(positions=True)
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    box = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)
    return np.array(positions), np.array(box)


def _save(path: Path, pilot: Pilot) -> None:
    choice, site = pilot.choice, pilot.site
    arrays = {
        "coordinates": choice.coordinates,
        "fluctuations": choice.fluctuations,
        "site_receptor": site.receptor,
        "site_ligand": site.ligand,
        "site_reference": site.reference,
        "site_centre": site.centre,
        "displacements": pilot.displacements,
        "positions": pilot.positions,
        "box": pilot.box,
    }
    record = {
        "restraint": choice.restraint.model_dump(),
        "labels": list(choice.labels),
        "reasons": list(choice.reasons),
        "site_radius": site.radius,
    }
    save_arrays(path, arrays, record)


def _read(path: Path) -> Pilot:
    arrays, record = load_arrays(path)
    try:
        restraint = BoreschRestraint.model_validate(record["restraint"])
        choice = AnchorChoice(
            *(restraint, arrays["coordinates"], arrays["fluctuations"]),
            *(_texts(record["labels"]), _texts(record["reasons"])),
        )
        site = Site(
            arrays["site_receptor"],
            arrays["site_ligand"],
            arrays["site_reference"],
            arrays["site_centre"],
            float(record["site_radius"]),
        )
        return Pilot(choice, site, arrays["displacements"], arrays["positions"], arrays["box"])
    except ValidationError as error:
        raise InputFileError(f"{path}: {first_problem(error)}; remove it") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputFileError(f"{path}: is damaged ({error}); remove it") from error


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)

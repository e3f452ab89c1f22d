"""The OpenMM engine: Langevin dynamics and Monte Carlo barostats."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import SimulationError
from nnpmm.permeation.martini.builder import require_room
from nnpmm.permeation.martini.engines import (
    EnergyTerms,
    ProgressCallback,
    Stage,
    StageResult,
    require_finite,
    whole_steps,
)
from nnpmm.permeation.martini.geometry import make_whole, periodic_center
from nnpmm.permeation.martini.openmm_system import FORCE_GROUPS, create_openmm_system
from nnpmm.permeation.martini.system import Configuration, MartiniSystem

__all__ = ["OpenMMEngine"]

_FRICTION = 1.0  # 1/ps
_BAROSTAT_INTERVAL = 25  # steps
_STEPS_AT_A_TIME = 5000
_SECONDS_BETWEEN_SAVES = 60.0
_MINIMIZER_TOLERANCE = 50.0  # kJ/mol/nm
_MINIMIZER_STEPS = 1000
_BAR_NM3 = 0.0602214076  # kJ/mol
_PLATFORMS = ("CUDA", "HIP", "OpenCL", "CPU", "Reference")


@dataclass
class _Record:
    """Frames and observables so far, with which an interrupted stage can continue."""

    steps: int = 0
    frames: list[NDArray[np.float32]] = field(default_factory=list)
    boxes: list[NDArray[np.float64]] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)


class OpenMMEngine:
    """Runs Martini systems with OpenMM.

    Args:
        threads: of the CPU platform; OpenMM chooses if None.
        platform: name of an OpenMM platform; the fastest available one if None.
    """

    name = "openmm"

    def __init__(self, *, threads: int | None = None, platform: str | None = None):
        available = {
            openmm.Platform.getPlatform(n).getName()
            for n in range(openmm.Platform.getNumPlatforms())
        }
        self._platform = platform or next(name for name in _PLATFORMS if name in available)
        self._properties = {}
        if self._platform == "CPU" and threads is not None:
            self._properties["Threads"] = str(threads)
        if self._platform in ("CUDA", "HIP", "OpenCL"):
            self._properties["Precision"] = "mixed"

    def version(self) -> str:
        """Return the version of OpenMM and the platform."""
        return f"{openmm.version.version} {self._platform}"

    def energy(self, system: MartiniSystem, configuration: Configuration) -> EnergyTerms:
        """Return the potential energy of one configuration."""
        require_room(configuration.box)
        openmm_system = create_openmm_system(system, configuration.box, split_nonbonded=True)
        context = self._context(openmm_system, openmm.VerletIntegrator(0.001))
        context.setPositions(gather(system, configuration))

        def term(name: str) -> float:
            state = context.getState(getEnergy=True, groups={FORCE_GROUPS[name]})
            return float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))

        return EnergyTerms(*(term(name) for name in EnergyTerms._fields))

    def minimize(
        self, system: MartiniSystem, configuration: Configuration, directory: Path
    ) -> Configuration:
        """Return a configuration without strong overlaps; the folder is not used."""
        require_room(configuration.box)
        openmm_system = create_openmm_system(system, configuration.box)
        context = self._context(openmm_system, openmm.VerletIntegrator(0.001))
        context.setPositions(gather(system, configuration))
        openmm.LocalEnergyMinimizer.minimize(context, _MINIMIZER_TOLERANCE, _MINIMIZER_STEPS)
        positions = context.getState(getPositions=True).getPositions(asNumpy=True)
        final = Configuration(np.asarray(positions._value), configuration.box)
        require_finite(final, "minimisation")
        return final

    def run(
        self,
        system: MartiniSystem,
        configuration: Configuration,
        stage: Stage,
        directory: Path,
        progress: ProgressCallback | None = None,
    ) -> StageResult:
        """Run a stage of dynamics, or continue it; its state is saved every minute.

        Raises:
            SimulationError: the system blew up.
        """
        require_room(configuration.box)
        part = directory / f"{stage.name}.part.safetensors"
        record = _Record()
        if part.exists():
            configuration, record = _load_part(part)
        context = self._start(system, configuration, stage, record.steps)
        if stage.frame_interval is not None and not record.frames:
            self._read(context, stage, record)
        total = whole_steps(stage.length, stage.timestep)
        every = whole_steps(stage.frame_interval or stage.length, stage.timestep)
        saved = time.monotonic()
        while record.steps < total:
            due = min(every - record.steps % every, total - record.steps)
            _advance(context, min(due, _STEPS_AT_A_TIME), stage)
            record.steps += min(due, _STEPS_AT_A_TIME)
            if stage.frame_interval is not None and record.steps % every == 0:
                self._read(context, stage, record)
            if progress is not None:
                progress(record.steps * stage.timestep)
            if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                _save_part(part, _configuration(context), record)
                saved = time.monotonic()
        final = _configuration(context)
        require_finite(final, f"stage {stage.name}")
        result = StageResult(final, *_write_record(directory, stage, record))
        part.unlink(missing_ok=True)
        return result

    def _context(
        self, openmm_system: openmm.System, integrator: openmm.Integrator
    ) -> openmm.Context:
        platform = openmm.Platform.getPlatformByName(self._platform)
        return openmm.Context(openmm_system, integrator, platform, self._properties)

    def _start(
        self, system: MartiniSystem, configuration: Configuration, stage: Stage, steps: int
    ) -> openmm.Context:
        """Return a context ready to step; a continuation has another stream of random numbers."""
        openmm_system = create_openmm_system(system, configuration.box, restraint=stage.restraint)
        seed = (stage.seed + steps) % (2**31 - 1) + 1
        if stage.ensemble == "NPT":
            openmm_system.addForce(_barostat(stage, seed))
        integrator = openmm.LangevinMiddleIntegrator(stage.temperature, _FRICTION, stage.timestep)
        integrator.setRandomNumberSeed(seed)
        context = self._context(openmm_system, integrator)
        context.setPositions(gather(system, configuration))
        if configuration.velocities is None:
            context.setVelocitiesToTemperature(stage.temperature, seed)
        else:
            context.setVelocities(configuration.velocities)
        return context

    def _read(self, context: openmm.Context, stage: Stage, record: _Record) -> None:
        """Add a frame and its energies."""
        state = context.getState(getPositions=True, getEnergy=True)
        potential, kinetic = (
            energy.value_in_unit(unit.kilojoule_per_mole)
            for energy in (state.getPotentialEnergy(), state.getKineticEnergy())
        )
        box = np.diag(np.asarray(state.getPeriodicBoxVectors(asNumpy=True)._value))
        positions = np.asarray(state.getPositions(asNumpy=True)._value)
        volume = float(np.prod(box))
        enthalpy = potential + kinetic + stage.pressure * volume * _BAR_NM3
        degrees_of_freedom = 3 * len(positions) - 3
        temperature = 2.0 * kinetic / (degrees_of_freedom * GAS_CONSTANT)
        moment = record.steps * stage.timestep
        record.frames.append(positions.astype(np.float32))
        record.boxes.append(box)
        record.rows.append((moment, potential, kinetic, temperature, volume, enthalpy))


def gather(system: MartiniSystem, configuration: Configuration) -> NDArray[np.float64]:
    """Return positions (n, 3), nm, with molecules whole and a bilayer in the middle of the box.

    The restraint and the barostats use coordinates without periodic images, so all lipids must be
    on the same side of the periodic boundary.
    """
    box = configuration.box
    positions = make_whole(system, configuration.positions, box)
    lipids = system.select("lipid")
    if len(lipids):
        positions[:, 2] += box[2] / 2.0 - periodic_center(positions[lipids, 2], float(box[2]))
    molecules = system.molecule_of_bead
    counts = np.bincount(molecules)
    centers = np.stack(
        [np.bincount(molecules, weights=positions[:, n]) / counts for n in range(3)], axis=1
    )
    return np.asarray(positions - (np.floor(centers / box) * box)[molecules])


def _barostat(stage: Stage, seed: int) -> openmm.Force:
    if stage.isotropic:
        barostat = openmm.MonteCarloBarostat(stage.pressure, stage.temperature, _BAROSTAT_INTERVAL)
    else:
        barostat = openmm.MonteCarloMembraneBarostat(
            stage.pressure,
            0.0,
            stage.temperature,
            openmm.MonteCarloMembraneBarostat.XYIsotropic,
            openmm.MonteCarloMembraneBarostat.ZFree,
            _BAROSTAT_INTERVAL,
        )
    barostat.setRandomNumberSeed(seed)
    return barostat


def _advance(context: openmm.Context, steps: int, stage: Stage) -> None:
    try:
        context.getIntegrator().step(steps)
    except openmm.OpenMMException as error:
        raise SimulationError(f"stage {stage.name}: the system blew up ({error})") from error


def _configuration(context: openmm.Context) -> Configuration:
    state = context.getState(getPositions=True, getVelocities=True)
    return Configuration(
        np.asarray(state.getPositions(asNumpy=True)._value),
        np.diag(np.asarray(state.getPeriodicBoxVectors(asNumpy=True)._value)).copy(),
        np.asarray(state.getVelocities(asNumpy=True)._value),
    )


def _save_part(path: Path, now: Configuration, record: _Record) -> None:
    arrays = {"positions": now.positions, "box": now.box, "velocities": now.velocities}
    if record.frames:
        arrays |= {"frames": np.array(record.frames), "boxes": np.array(record.boxes)}
        arrays["rows"] = np.array(record.rows)
    save_arrays(path, {k: v for k, v in arrays.items() if v is not None}, {"steps": record.steps})


def _load_part(path: Path) -> tuple[Configuration, _Record]:
    arrays, saved = load_arrays(path)
    record = _Record(steps=int(saved["steps"]))
    if "frames" in arrays:
        record.frames, record.boxes = list(arrays["frames"]), list(arrays["boxes"])
        record.rows = [tuple(row) for row in arrays["rows"].tolist()]
    return Configuration(arrays["positions"], arrays["box"], arrays["velocities"]), record


def _write_record(
    directory: Path, stage: Stage, record: _Record
) -> tuple[Path | None, dict[str, NDArray[np.float64]]]:
    """Write the frames as TRR and return its path and the observables."""
    if not record.frames:
        return None, {}
    from mdtraj.formats import TRRTrajectoryFile

    names = ("time", "potential", "kinetic", "temperature", "volume", "enthalpy")
    observables = dict(zip(names, np.array(record.rows).T, strict=True))
    path = directory / f"{stage.name}.trr"
    with TRRTrajectoryFile(str(path), "w") as file:
        file.write(
            np.array(record.frames),
            time=observables["time"].astype(np.float32),
            step=np.round(observables["time"] / stage.timestep).astype(np.int32),
            box=np.array([np.diag(box) for box in record.boxes], dtype=np.float32),
        )
    return path, {name: np.ascontiguousarray(values) for name, values in observables.items()}

"""The loop of a stage: dynamics with frames, log and checkpoints."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.errors import SimulationError
from nnpmm.core.interrupts import StopFlag
from nnpmm.core.time_steps import count_steps
from nnpmm.integrators import RespaWatchdog
from nnpmm.simulation.preparation.density import ExpectedDensity
from nnpmm.simulation.record.checkpoint import write_checkpoint
from nnpmm.simulation.record.energy_log import (
    EnergyLog,
    LogRow,
    RegionMonitor,
    Thermometer,
)
from nnpmm.simulation.record.trajectory import TrajectoryWriter
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.simulation.stages.bias import ProductionBias
from nnpmm.simulation.stages.equilibration import warn_unless_equilibrated
from nnpmm.simulation.stages.polarization import diverged_dipoles
from nnpmm.simulation.stages.progress import ProgressDisplay, Status
from nnpmm.simulation.stages.stages import Stage, ramp_interval, ramp_temperature

__all__ = ["Recorder", "Snapshot", "StageLoop", "snapshot"]

_LOGGER = logging.getLogger(__name__)
_SECONDS_PER_CHUNK = 0.5
_EARLY_STEPS = 100  # within which overlapping atoms fly apart


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Positions (n, 3) nm, velocities (n, 3) nm/ps and box rows (3, 3) nm or None."""

    positions: NDArray[np.float64]
    velocities: NDArray[np.float64] | None
    box: NDArray[np.float64] | None


def snapshot(context: openmm.Context, *, wrapped: bool = False) -> Snapshot:
    """Return positions, velocities and box of a context.

    Args:
        context: of the simulation.
        wrapped: move every molecule into the box without splitting it.
    """
    periodic = context.getSystem().usesPeriodicBoundaryConditions()
    state = context.getState(
        positions=True, velocities=True, enforcePeriodicBox=wrapped and periodic
    )
    velocities = state.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond)
    return Snapshot(_positions(state), np.array(velocities), _box(state, periodic))


def _positions(state: openmm.State) -> NDArray[np.float64]:
    return np.array(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))


def _box(state: openmm.State, periodic: bool) -> NDArray[np.float64] | None:
    if not periodic:
        return None
    return np.array(state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer))


@dataclass
class Recorder:
    """The output of a run and its progress.

    ``steps_before`` counts the steps of earlier stages, ``remaining_ps_after`` is the time of later
    ones.
    """

    directory: Path
    settings: ProtocolConfig
    settings_sha256: str
    model_digest: str | None
    region: tuple[int, ...]
    log: EnergyLog
    monitor: RegionMonitor
    thermometer: Thermometer
    display: ProgressDisplay
    stop: StopFlag
    watchdog: RespaWatchdog | None = None
    expected_density: ExpectedDensity | None = None
    trajectory: TrajectoryWriter | None = None
    bias: ProductionBias | None = None
    serial: int = 0
    frames: int = 0
    steps_before: int = 0
    remaining_ps_after: float = 0.0
    last_row: LogRow | None = field(default=None)

    def checkpoint(self, context: openmm.Context, stage: str, step: int) -> None:
        """Write a checkpoint, unless the state is not finite; then the previous one remains."""
        now = snapshot(context)
        self.require_finite(stage, step, positions=now.positions, velocities=now.velocities)
        files = [self.log.path]
        if self.trajectory is not None:
            files.append(self.trajectory.path)
            self.frames = self.trajectory.frames
        if self.bias is not None:
            files.append(self.bias.path)
        self.serial += 1
        write_checkpoint(
            self.directory,
            context,
            stage=stage,
            step=step,
            frames=self.frames,
            files=files,
            serial=self.serial,
            settings_sha256=self.settings_sha256,
            model_digest=self.model_digest,
            region=self.region,
        )

    def require_finite(self, stage: str, step: int, **arrays: NDArray[np.float64] | None) -> None:
        """Raise a SimulationError that names the first array with a value that is not finite."""
        for name, values in arrays.items():
            if values is not None and not np.isfinite(values).all():
                raise SimulationError(
                    f"{stage}, step {step}: found {name} that are not finite: "
                    f"{self.remedy(step)}; the last checkpoint is kept"
                )

    def remedy(self, step: int) -> str:
        """Return a remedy for a simulation that has blown up at a step of the stage."""
        timestep = f"{self.settings.timestep * 1000:g} fs"
        if self.steps_before + step <= _EARLY_STEPS:
            return (
                "minimise further (stages.minimize.max_iterations) or use a smaller timestep than "
                f"{timestep}"
            )
        return (
            f"the time step of {timestep} is the likely cause: use a smaller timestep and start "
            "again, with overwrite=True or in another output.directory"
        )


class StageLoop:
    """Runs a stage in a context and writes its output.

    Args:
        context: of the stage.
        stage: the stage to run.
        recorder: writes the output.
        step: number of finished steps of the stage.
    """

    def __init__(self, context: openmm.Context, stage: Stage, recorder: Recorder, step: int = 0):
        self.context, self.stage, self.recorder, self.step = context, stage, recorder, step
        settings = recorder.settings
        dt, output = settings.timestep, settings.output
        self._dt = dt
        self._log_every = count_steps(output.log_interval, dt)
        self._frame_every = count_steps(output.trajectory_interval, dt)
        self._checkpoint_every = count_steps(output.checkpoint_interval, dt)
        self._ramp_every = ramp_interval(stage)
        watched = settings.integrator.watchdog if recorder.watchdog is not None else None
        self._watch_every = None if watched is None else count_steps(watched.interval, dt)
        self._chunk = 1
        self._clock = 0.0  # seconds spent stepping and writing in this process
        self._first_step = step

    def run(self) -> int:
        """Run to the end of the stage or to a signal, with a checkpoint; return the steps done.

        Raises:
            SimulationError: the state is no longer finite, or OpenMM stopped.
        """
        try:
            return self._loop()
        except openmm.OpenMMException as error:
            polarized = diverged_dipoles(self.context, error)
            if polarized is not None:
                raise SimulationError(
                    f"{self.stage.name}, after step {self.context.getStepCount()}: {polarized}; "
                    "the last checkpoint is kept"
                ) from error
            text = " ".join(str(error).split())
            blown_up = "nan" in text.lower() or "finite" in text
            hint = f": {self.recorder.remedy(self.step)}" if blown_up else ""
            raise SimulationError(
                f"{self.stage.name}, after step {self.step}: OpenMM stopped: {text}{hint}; "
                "the last checkpoint is kept"
            ) from error

    def _loop(self) -> int:
        self._show()
        if self.stage.writes_frames and self.step == 0:
            recorder = self.recorder
            warn_unless_equilibrated(
                recorder.log.path,
                self.context,
                recorder.settings,
                recorder.thermometer,
                recorder.expected_density,
            )
        while self.step < self.stage.n_steps and not self.recorder.stop:
            started = time.perf_counter()
            n_steps = self._advance()
            elapsed = time.perf_counter() - started
            self._clock += elapsed
            # At most twice the last chunk: a fast start must not lead to a long wait.
            target = n_steps * _SECONDS_PER_CHUNK / max(elapsed, 1e-6)
            self._chunk = int(min(max(1.0, target), 2 * self._chunk + 1))
            started = time.perf_counter()
            self._write_due()
            self._clock += time.perf_counter() - started
            self._show()
        if self.step < self.stage.n_steps:
            self.recorder.checkpoint(self.context, self.stage.name, self.step)
        return self.step

    def _next_event(self) -> int:
        """Return the next step with output."""
        intervals = [self._log_every, self._checkpoint_every, self._ramp_every]
        if self.stage.writes_frames:
            intervals.append(self._frame_every)
        if self._watch_every is not None:
            intervals.append(self._watch_every)
        if self.recorder.bias is not None:
            intervals.append(self.recorder.bias.every)
        return min(self.stage.n_steps, *((self.step // n + 1) * n for n in intervals))

    def _advance(self) -> int:
        """Run some steps, at most to the next output, and return their number."""
        integrator = self.context.getIntegrator()
        n_steps = min(self._next_event() - self.step, self._chunk)
        final = self.recorder.settings.ensemble.temperature
        if self.stage.start_temperature is not None:
            integrator.setTemperature(ramp_temperature(self.stage, self.step, final))
        integrator.step(n_steps)
        self.step += n_steps
        return n_steps

    def _write_due(self) -> None:
        """Write the row, the frame and the checkpoint that are due."""
        writer = self.recorder.trajectory if self.stage.writes_frames else None
        frame_due = writer is not None and self.step % self._frame_every == 0
        log_due = self.step % self._log_every == 0
        watch_due = self._watch_every is not None and self.step % self._watch_every == 0
        if frame_due or log_due or watch_due:
            periodic = self.context.getSystem().usesPeriodicBoundaryConditions()
            # Positions as the network was given them, so that the log finds its last energies.
            state = self.context.getState(positions=True, energy=log_due)
            positions, box = _positions(state), _box(state, periodic)
            self.recorder.require_finite(self.stage.name, self.step, positions=positions)
            if watch_due and self.recorder.watchdog is not None:
                self.recorder.watchdog.check(positions, box, step=self.step)
            if log_due:  # before the frame, so that a refused state leaves no frame
                self._log(state, positions, box)
            if frame_due and writer is not None:
                state = self.context.getState(positions=True, enforcePeriodicBox=periodic)
                writer.write(_positions(state), box)
        bias = self.recorder.bias
        if bias is not None and self.step % bias.every == 0:
            bias.deposit(self.context, self.step)
        if self.step % self._checkpoint_every == 0 and self.step < self.stage.n_steps:
            self.recorder.checkpoint(self.context, self.stage.name, self.step)

    def _log(
        self,
        state: openmm.State,
        positions: NDArray[np.float64],
        box: NDArray[np.float64] | None,
    ) -> None:
        recorder = self.recorder
        potential = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        kinetic = state.getKineticEnergy().value_in_unit(unit.kilojoule_per_mole)
        energies = np.array([potential, kinetic])
        recorder.require_finite(self.stage.name, self.step, energies=energies)
        reading = recorder.monitor.read(positions, box)
        volume = None if box is None else float(abs(np.linalg.det(box)))
        row = LogRow(
            stage=self.stage.name,
            step=self.step,
            time_ps=self.step * self._dt,
            potential_energy_kj_mol=potential,
            kinetic_energy_kj_mol=kinetic,
            total_energy_kj_mol=potential + kinetic,
            temperature_k=recorder.thermometer.temperature(kinetic),
            volume_nm3=volume,
            density_g_ml=None if volume is None else recorder.thermometer.density(volume),
            nnp_energy_kj_mol=reading.energy,
            nnp_std_kj_mol=reading.deviation,
            speed_ns_day=self._speed() or 0.0,
        )
        recorder.log.write(row)
        recorder.last_row = row

    def _speed(self) -> float | None:
        """Return the speed of this stage in this process in ns/day."""
        done = (self.step - self._first_step) * self._dt
        return done / self._clock * 86.4 if self._clock > 0 and done > 0 else None

    def _show(self) -> None:
        speed, row = self._speed(), self.recorder.last_row
        left = (self.stage.n_steps - self.step) * self._dt + self.recorder.remaining_ps_after
        self.recorder.display.update(
            Status(
                self.stage.name,
                self.step * self._dt,
                self.stage.n_steps * self._dt,
                ns_per_day=speed,
                remaining_s=None if speed is None else left / speed * 86.4,
                temperature=None if row is None else row.temperature_k,
                nnp_energy=None if row is None else row.nnp_energy_kj_mol,
                nnp_deviation=None if row is None else row.nnp_std_kj_mol,
            )
        )

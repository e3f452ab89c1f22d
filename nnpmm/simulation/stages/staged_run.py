"""Runs the stages of a simulation in order, from the first one or from a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import openmm

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.core.interrupts import StopFlag, stop_on_signals
from nnpmm.simulation.preparation.prepared import PreparedSystem
from nnpmm.simulation.record import storage
from nnpmm.simulation.record.bias_log import BIAS_LOG
from nnpmm.simulation.record.checkpoint import CheckpointRecord, load_state
from nnpmm.simulation.record.energy_log import EnergyLog, RegionMonitor, Thermometer, read_log
from nnpmm.simulation.record.trajectory import TrajectoryWriter, cut_back, open_trajectory
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.simulation.settings.sampling_config import MetadynamicsConfig
from nnpmm.simulation.short_analysis import observe_run
from nnpmm.simulation.stages.bias import ProductionBias
from nnpmm.simulation.stages.dynamics import Recorder, Snapshot, StageLoop, snapshot
from nnpmm.simulation.stages.final_state import FINAL, REPORT, remove_final, write_final
from nnpmm.simulation.stages.integration import create_watchdog
from nnpmm.simulation.stages.minimization import minimize
from nnpmm.simulation.stages.progress import ProgressDisplay, progress_display
from nnpmm.simulation.stages.replicas import ReplicaLoop, Replicas
from nnpmm.simulation.stages.stages import (
    PRODUCTION,
    Stage,
    create_context,
    create_stage_context,
    plan_stages,
    stage_seed,
)
from nnpmm.simulation.stages.trajectory_atoms import PartialWriter, part_of, trajectory_atoms

__all__ = ["RunResult", "StagedRun", "model_digest", "region_atoms"]

_LOGGER = logging.getLogger(__name__)
_RESTRAINTS = "restraints.npz"
_Platform = tuple[openmm.Platform, dict[str, str]]


@dataclass(frozen=True)
class RunResult:
    """The output of a run.

    Attributes:
        directory: folder of all files.
        trajectory: production trajectory, if there is one.
        log: CSV log.
        final_structure: last structure; None if the run was interrupted.
        report: figure; None if the run was interrupted.
        stage: stage that was reached.
        time_ps: time reached within it.
        signal_number: signal that interrupted the run; None if it is complete.
        already_complete: whether the run was complete before.
    """

    directory: Path
    trajectory: Path | None
    log: Path
    final_structure: Path | None
    report: Path | None
    stage: str
    time_ps: float
    signal_number: int | None = None
    already_complete: bool = False


def model_digest(prepared: PreparedSystem) -> str | None:
    """Return the checksum of the network, if it has one."""
    digest = prepared.model_provenance.get("digest")
    return None if digest is None else str(digest)


def region_atoms(prepared: PreparedSystem) -> tuple[int, ...]:
    """Return the region's atoms in ascending order."""
    return tuple(prepared.hybrid.region.atoms.tolist())


class StagedRun:
    """One call of ``run_protocol``: the stages from the first one or from a checkpoint."""

    def __init__(
        self,
        prepared: PreparedSystem,
        settings: ProtocolConfig,
        platform: _Platform,
        settings_sha256: str,
        progress: bool,
        resuming: bool,
    ):
        self.prepared, self.settings, self.platform = prepared, settings, platform
        self.settings_sha256, self.progress, self.resuming = settings_sha256, progress, resuming
        self.directory = settings.output.directory
        self.trajectory = self.directory / f"trajectory.{settings.output.trajectory_format}"
        self.log = self.directory / "log.csv"
        self.plan = plan_stages(settings)
        self._provenance_saved = False
        sampling = settings.sampling
        self.bias, self.replicas = None, None
        if isinstance(sampling, MetadynamicsConfig):
            self.bias = ProductionBias(prepared, settings, sampling)
        elif sampling is not None:
            self.replicas = Replicas(prepared, settings, sampling)

    def run_stages(self, record: CheckpointRecord | None) -> RunResult:
        """Run the remaining stages, or until a signal, and return the output.

        Args:
            record: of the checkpoint to continue from, or None.
        """
        first = self._first_stage(record)
        if record is not None and self._complete(first, record):
            _LOGGER.info("the run in %s is complete", self.directory)
            return self._result(self.plan[first].name, record.step, already_complete=True)
        self._warn_of_no_frames()
        name, step = "minimize", 0
        with ExitStack() as stack:
            stop = stack.enter_context(stop_on_signals())
            display = stack.enter_context(progress_display(self.progress))
            recorder = stack.enter_context(self._recorder(record, display, stop))
            remove_final(self.directory)  # left by a shorter production
            state = self._minimize(recorder) if record is None else None
            if record is None and stop:
                return self._result(name, step, signal_number=stop.signal_number)
            for stage in self.plan[first:]:
                before = [s.n_steps for s in self.plan if s.index < stage.index]
                recorder.steps_before = sum(before)
                recorder.remaining_ps_after = self._remaining_after(stage)
                context, step = self._start(stage, recorder, record, state)
                name, step = stage.name, self._loop(context, stage, recorder, step).run()
                if step < stage.n_steps:
                    return self._result(name, step, signal_number=stop.signal_number)
                last = stage is self.plan[-1]
                if last:
                    recorder.checkpoint(context, name, step)
                record, state = None, snapshot(context, wrapped=last)
                del context
            if state is None:
                raise SimulationError(f"{name}: ended without a state")
            self._write_final(state, recorder.monitor)
        return self._result(name, step)

    def _loop(
        self, context: openmm.Context, stage: Stage, recorder: Recorder, step: int
    ) -> StageLoop | ReplicaLoop:
        """Return the loop that runs a stage."""
        if self.replicas is None or stage.name != PRODUCTION:
            return StageLoop(context, stage, recorder, step)
        return ReplicaLoop(context, stage, recorder, self.replicas, self.prepared.mm.topology)

    def _write_final(self, state: Snapshot, monitor: RegionMonitor) -> None:
        mm, output = self.prepared.mm, self.settings.output
        region = region_atoms(self.prepared)
        observed = None
        if self._frames_expected():
            observed = observe_run(mm, output, region, self.trajectory, self.log)
        note = str(self.prepared.model_provenance.get("note", ""))
        write_final(mm.topology, self.directory, self.log, state, monitor, observed, note)

    def _frames_expected(self) -> bool:
        """Return whether the production is long enough for a frame of the trajectory."""
        production = self.settings.stages.production
        return (
            production is not None and production.length >= self.settings.output.trajectory_interval
        )

    def _warn_of_no_frames(self) -> None:
        if self.settings.stages.production is not None and not self._frames_expected():
            _LOGGER.warning(
                "stages.production.length (%g ps) is shorter than output.trajectory_interval "
                "(%g ps): the trajectory will have no frames",
                self.settings.stages.production.length,
                self.settings.output.trajectory_interval,
            )

    def _first_stage(self, record: CheckpointRecord | None) -> int:
        """Return the index in the plan of the stage to continue with."""
        if record is None:
            return 0
        for index, stage in enumerate(self.plan):
            if stage.name == record.stage:
                if record.step > stage.n_steps:
                    raise ConfigError(
                        f"stages.{stage.name}.length: the run has {record.step} steps already, "
                        f"more than the {stage.n_steps} asked for: set it back, or make it longer"
                    )
                return index
        raise ConfigError(
            f"cannot resume: the run has reached the stage {record.stage}, set it back"
        )

    def _complete(self, index: int, record: CheckpointRecord) -> bool:
        last = index == len(self.plan) - 1 and record.step == self.plan[index].n_steps
        return last and all((self.directory / name).is_file() for name in (FINAL, REPORT))

    def _remaining_after(self, stage: Stage) -> float:
        return sum(s.n_steps for s in self.plan if s.index > stage.index) * self.settings.timestep

    @contextmanager
    def _recorder(
        self, record: CheckpointRecord | None, display: ProgressDisplay, stop: StopFlag
    ) -> Iterator[Recorder]:
        """Truncate the output to the checkpoint and yield the recorder of new output."""
        if record is not None:
            n_atoms = self._trajectory_topology().getNumAtoms()
            for name, size in record.sizes.items():
                if name not in (self.trajectory.name, self.log.name, BIAS_LOG):
                    raise SimulationError(f"checkpoint.json: names an unknown file {name!r}")
                frames = record.frames if name == self.trajectory.name else None
                cut_back(self.directory / name, size, frames, n_atoms)
            read_log(self.log)  # a damaged log must fail now, not hours later in the report
        prepared, hybrid = self.prepared, self.prepared.hybrid
        with ExitStack() as stack:
            log = EnergyLog(self.log, append=record is not None)
            stack.callback(log.close)
            recorder = Recorder(
                directory=self.directory,
                settings=self.settings,
                settings_sha256=self.settings_sha256,
                model_digest=model_digest(prepared),
                region=region_atoms(prepared),
                log=log,
                monitor=RegionMonitor(hybrid),
                thermometer=Thermometer(hybrid.system, prepared.mm.system),
                expected_density=prepared.expected_density,
                display=display,
                stop=stop,
                watchdog=create_watchdog(hybrid, self.settings),
                serial=0 if record is None else record.serial,
                frames=0 if record is None else record.frames,
            )
            try:
                yield recorder
            finally:
                if recorder.trajectory is not None:
                    recorder.trajectory.close()
                if recorder.bias is not None:
                    recorder.bias.close()

    def _minimize(self, recorder: Recorder) -> Snapshot:
        """Return the starting positions, minimised if the settings say so."""
        prepared = self.prepared
        if self.settings.stages.minimize is None:
            return Snapshot(prepared.mm.positions, None, prepared.mm.box_vectors)
        verlet = openmm.VerletIntegrator(0.001)  # a context needs an integrator
        context = create_context(prepared, prepared.hybrid.system, verlet, self.platform)
        self._save_provenance(context)
        settings, region = self.settings.stages.minimize, prepared.hybrid.region.atoms
        minimize(context, settings, recorder.display, recorder.stop, region)
        minimized = snapshot(context)
        # The first stage draws the velocities, which are zero after a minimisation.
        return Snapshot(minimized.positions, None, minimized.box)

    @staticmethod
    def _set(context: openmm.Context, state: Snapshot) -> None:
        if state.box is not None:
            context.setPeriodicBoxVectors(*state.box)
        context.setPositions(state.positions)
        context.computeVirtualSites()
        if state.velocities is not None:
            context.setVelocities(state.velocities)

    def _start(
        self,
        stage: Stage,
        recorder: Recorder,
        record: CheckpointRecord | None,
        state: Snapshot | None,
    ) -> tuple[openmm.Context, int]:
        """Return a stage's context, at its beginning or at the checkpoint, and the steps done."""
        reference = None
        restraints = self.directory / _RESTRAINTS
        if stage.restrained and state is not None:
            reference = state.positions
            storage.save_arrays(restraints, {"reference": reference})
        elif stage.restrained:
            reference = storage.load_arrays(restraints)["reference"]
        sampling = (self.bias or self.replicas) if stage.name == PRODUCTION else None
        change = None if sampling is None else sampling.add_to
        context = create_stage_context(
            self.prepared, stage, self.settings, self.platform, reference, change
        )
        self._save_provenance(context)
        if stage.writes_frames:
            recorder.trajectory = self._open_trajectory(recorder.frames)
        if record is not None:
            load_state(self.directory, record, context)
            if self.bias is not None and sampling is self.bias:
                self.bias.resume(context)
                recorder.bias = self.bias
            return context, record.step
        if state is None:
            raise SimulationError(f"{stage.name}: found neither a state nor a checkpoint")
        self._set(context, state)
        if state.velocities is None:
            context.applyConstraints(context.getIntegrator().getConstraintTolerance())
            temperature = stage.start_temperature or self.settings.ensemble.temperature
            seed = stage_seed(self.settings.seed, stage, 2)
            context.setVelocitiesToTemperature(temperature, seed)
        if self.bias is not None and sampling is self.bias:
            self.bias.begin()
            recorder.bias = self.bias
        recorder.checkpoint(context, stage.name, 0)
        return context, 0

    def _trajectory_topology(self) -> openmm.app.Topology:
        """Return the topology of the atoms that the trajectory contains."""
        topology = self.prepared.mm.topology
        atoms = trajectory_atoms(topology, self.settings.output.trajectory_atoms)
        return topology if atoms is None else part_of(topology, atoms)

    def _open_trajectory(self, frames: int) -> TrajectoryWriter:
        """Return a writer of the atoms that the settings select."""
        output = self.settings.output
        writer = open_trajectory(
            self.trajectory, self._trajectory_topology(), output.trajectory_interval, frames
        )
        atoms = trajectory_atoms(self.prepared.mm.topology, output.trajectory_atoms)
        return writer if atoms is None else PartialWriter(writer, atoms)

    def _save_provenance(self, context: openmm.Context) -> None:
        if not self._provenance_saved:
            model = self.prepared.model_provenance
            storage.save_provenance(self.directory, context, model, resumed=self.resuming)
            self._provenance_saved = True

    def _result(
        self,
        stage: str,
        step: int,
        *,
        signal_number: int | None = None,
        already_complete: bool = False,
    ) -> RunResult:
        done = signal_number is None
        return RunResult(
            directory=self.directory,
            trajectory=self.trajectory if self.trajectory.is_file() else None,
            log=self.log,
            final_structure=self.directory / FINAL if done else None,
            report=self.directory / REPORT if done else None,
            stage=stage,
            time_ps=step * self.settings.timestep,
            signal_number=signal_number,
            already_complete=already_complete,
        )

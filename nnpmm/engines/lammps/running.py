"""A run from a settings file: minimise, equilibrate, produce, on all ranks together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.files import require_folder
from nnpmm.core.interrupts import StopFlag, stop_on_signals
from nnpmm.core.run_folder import locked
from nnpmm.engines.lammps import record
from nnpmm.engines.lammps.parallel import (
    aborting,
    communicator,
    device_of_rank,
    on_every_rank,
    on_root,
)
from nnpmm.engines.lammps.reading import read_system
from nnpmm.engines.lammps.settings import LammpsConfig, load_config, steps_of
from nnpmm.engines.lammps.simulation import (
    LammpsSimulation,
    create_simulation,
    resume_simulation,
)
from nnpmm.engines.lammps.system import WholeSystem, check_system
from nnpmm.engines.lammps.units import BAR_PER_ATM, FORCE_UNIT, PS_PER_FS
from nnpmm.models import load_model
from nnpmm.models.protocol import Potential

if TYPE_CHECKING:
    from mpi4py import MPI

__all__ = ["LammpsResult", "Progress", "integration", "run"]

#: Called on rank 0 with the name of a stage, the number of steps done, and their total.
Progress = Callable[[str, int, int], None]
_LARGEST_SEED = 899_000_000  # LAMMPS adds the rank, and allows 900 million


@dataclass(frozen=True)
class LammpsResult:
    """The state of a run that has ended or was stopped.

    Attributes:
        directory: its folder.
        stage: name of the last stage.
        time_ps: time of that stage.
        signal_number: number of the signal that stopped it, or None.
        already_complete: whether there was nothing left to do.
    """

    directory: Path
    stage: str
    time_ps: float
    signal_number: int | None = None
    already_complete: bool = False


def run(
    config: LammpsConfig | str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> LammpsResult:
    """Run a network on every atom of a system, or resume such a run; all ranks call this.

    Args:
        config: settings, or the YAML file that contains them.
        resume: continue from the last restart file, or from the beginning if there is none.
        overwrite: replace the run in the folder.
        progress: see `Progress`; called on rank 0.

    Raises:
        NnpmmError: wrong settings or input, or a simulation that cannot continue; on all ranks.
    """
    comm = communicator()
    with aborting(comm):
        settings = on_root(
            comm, lambda: config if isinstance(config, LammpsConfig) else load_config(config)
        )
        folder = settings.output.directory
        resuming = on_root(
            comm, lambda: record.check_folder(settings, resume=resume, overwrite=overwrite)
        )
        on_root(comm, lambda: require_folder(folder))
        device = device_of_rank(comm, settings.network.device)
        model = on_every_rank(comm, lambda: _load(settings, device))
        with _locked(comm, folder), stop_on_signals() as stop:
            stages = _Run(settings, comm, model, stop, progress)
            return stages.resume() if resuming else stages.start()


def _load(settings: LammpsConfig, device: str) -> Potential:
    network = settings.network
    return load_model(
        network.model,
        members=network.members,
        device=device,
        precision=network.precision,
        threads=network.threads,
        weights=network.weights,
    )


@contextmanager
def _locked(comm: MPI.Comm, folder: Path) -> Iterator[None]:
    """Lock the folder on rank 0; the error of a folder in use is raised on all ranks."""
    with ExitStack() as stack:
        on_root(comm, lambda: stack.enter_context(locked(folder)))
        yield


class _Run:
    """The stages of one run."""

    def __init__(
        self,
        settings: LammpsConfig,
        comm: MPI.Comm,
        model: Potential,
        stop: StopFlag,
        progress: Progress | None,
    ) -> None:
        self._settings, self._comm, self._model = settings, comm, model
        self._stop, self._progress = stop, progress
        self._folder = settings.output.directory
        self._n_atoms = 0

    def start(self) -> LammpsResult:
        """Run from the files of the settings."""
        system = self._read()
        with create_simulation(system, self._model, comm=self._comm) as simulation:
            # An earlier run is deleted only now that the new system is known to be usable.
            on_root(self._comm, lambda: record.save_start(self._settings, system))
            simulation.commands(f'log "{record.log_path(self._folder, "equilibrate")}"')
            self._n_atoms = int(simulation.lammps.get_natoms())
            self._prepare(simulation)
            has_velocities = self._comm.bcast(system is not None and system.velocities is not None)
            if self._settings.stages.minimize is not None:
                self._minimize(simulation)
            if not has_velocities:
                simulation.commands(_velocities(self._settings))
            if self._signal():
                return self._result("minimize", 0, signal_number=self._signal())
            return self._stages(simulation, "equilibrate", fresh=True)

    def resume(self) -> LammpsResult:
        """Run from the last restart file, or from the beginning if there is none."""
        restart = on_root(self._comm, lambda: record.last_restart(self._folder))
        if restart is None:
            return self.start()
        total = self._steps(restart.stage)
        if restart.stage == "production" and restart.step >= total:
            return self._result("production", restart.step, already_complete=True)
        numbers = on_root(self._comm, lambda: _numbers(self._folder))
        log = record.log_path(self._folder, restart.stage)
        with resume_simulation(
            restart.path, numbers, self._model, comm=self._comm, log=log
        ) as simulation:
            self._n_atoms = len(numbers)
            self._prepare(simulation)
            return self._stages(simulation, restart.stage, fresh=False)

    def _read(self) -> WholeSystem | None:
        """Read and check the system on rank 0; return None on the others."""
        found: list[WholeSystem] = []

        def read() -> None:
            source = self._settings.system
            system = read_system(
                source.file, atom_style=source.atom_style, elements=source.elements
            )
            charged = self._settings.network.allow_charged
            check_system(system, self._model, allow_charged=charged)
            found.append(system)

        on_root(self._comm, read)
        return found[0] if found else None

    def _prepare(self, simulation: LammpsSimulation) -> None:
        simulation.force.wants_to_stop = lambda: bool(self._stop)
        simulation.commands(
            f"timestep {self._settings.timestep / PS_PER_FS:.12g}",
            f"thermo {steps_of(self._settings, self._settings.output.log_interval)}",
        )

    def _minimize(self, simulation: LammpsSimulation) -> None:
        settings = self._settings.stages.minimize
        assert settings is not None
        most, tolerance = settings.max_iterations, settings.tolerance / FORCE_UNIT
        calls = 0

        def count_call(step: int) -> None:
            nonlocal calls
            calls += 1  # an iteration may take several
            self._report("minimize", min(calls, most), most)

        simulation.force.on_step = count_call
        simulation.commands(
            "min_modify norm max", f"minimize 0.0 {tolerance:.10g} {most} {10 * most}"
        )

    def _stages(self, simulation: LammpsSimulation, first: str, *, fresh: bool) -> LammpsResult:
        """Run the stages from the first on; fresh: that stage has not begun."""
        for stage in record.STAGES[record.STAGES.index(first) :]:
            if self._steps(stage) == 0:
                continue
            if fresh:
                simulation.commands("reset_timestep 0")
            simulation.commands(f'log "{record.log_path(self._folder, stage)}" append')
            self._dynamics(simulation, stage)
            step = simulation.step
            if step < self._steps(stage):
                return self._result(stage, step, signal_number=self._signal())
            fresh = True
        return self._result(stage, step)

    def _dynamics(self, simulation: LammpsSimulation, stage: str) -> None:
        """Run one stage to its end, or until a signal."""
        settings, total = self._settings, self._steps(stage)
        every = steps_of(settings, settings.output.restart_interval)
        simulation.force.on_step = lambda step: self._after_step(stage, step, total, every)
        fixes = integration(settings, stage, simulation.step)
        simulation.commands(*fixes)
        path = self._folder / record.restart_name(stage, "*")
        simulation.commands(f'restart {every} "{path}"')
        if stage == "production":
            self._write_frames(simulation)
        simulation.commands(f"run {total} upto")
        simulation.commands("restart 0")
        last = self._folder / record.restart_name(stage, simulation.step)
        simulation.commands(f'write_restart "{last}"')
        if stage == "production":
            simulation.commands("undump frames")
            on_root(self._comm, lambda: record.join_trajectory(self._folder, self._n_atoms))
        on_root(self._comm, lambda: record.discard_old_restarts(self._folder))
        simulation.commands(*(f"unfix {line.split()[1]}" for line in fixes))

    def _write_frames(self, simulation: LammpsSimulation) -> None:
        every = steps_of(self._settings, self._settings.output.trajectory_interval)
        n_frames = -(-simulation.step // every)  # LAMMPS writes the frame of its first step again
        path = on_root(
            self._comm, lambda: record.cut_trajectory(self._folder, n_frames, self._n_atoms)
        )
        simulation.commands(
            f'dump frames all dcd {every} "{path}"', "dump_modify frames unwrap yes"
        )

    def _after_step(self, stage: str, step: int, total: int, every: int) -> None:
        """Report progress, and delete restart files that two newer ones have replaced."""
        self._report(stage, step, total)
        # LAMMPS writes a restart file after this call, so old ones are deleted one step later.
        if self._comm.rank == 0 and (step - 1) % every == 0:
            record.discard_old_restarts(self._folder)

    def _report(self, stage: str, done: int, total: int) -> None:
        if self._progress is not None and self._comm.rank == 0:
            self._progress(stage, done, total)

    def _steps(self, stage: str) -> int:
        settings = getattr(self._settings.stages, stage)
        return 0 if settings is None else steps_of(self._settings, settings.length)

    def _signal(self) -> int | None:
        """Return the number of a signal that any rank received; all ranks call this together."""
        return max(self._comm.allgather(self._stop.signal_number or 0)) or None

    def _result(
        self,
        stage: str,
        step: int,
        *,
        signal_number: int | None = None,
        already_complete: bool = False,
    ) -> LammpsResult:
        time = step * self._settings.timestep
        return LammpsResult(self._folder, stage, time, signal_number, already_complete)


def integration(settings: LammpsConfig, stage: str, step: int) -> list[str]:
    """Return LAMMPS' fixes for an ensemble.

    Args:
        settings: of the run.
        stage: the stage that starts or continues.
        step: of the stage; the random numbers of a Langevin thermostat differ at each start.
    """
    e = settings.ensemble
    t, tau = f"{e.temperature:.10g}", f"{e.thermostat_time / PS_PER_FS:.10g}"
    pressure = f"{e.pressure / BAR_PER_ATM:.10g}"
    box = f"{e.barostat} {pressure} {pressure} {e.barostat_time / PS_PER_FS:.10g}"
    sequence = np.random.SeedSequence([settings.seed, record.STAGES.index(stage), step])
    seed = int(sequence.generate_state(1)[0]) % _LARGEST_SEED + 1
    langevin = f"fix bath all langevin {t} {t} {tau} {seed} zero yes"
    if e.type == "NVE":
        return ["fix motion all nve"]
    if e.thermostat == "langevin":
        mover = "nve" if e.type == "NVT" else f"nph {box}"
        return [f"fix motion all {mover}", langevin]
    heat = f"temp {t} {t} {tau}"
    return [f"fix motion all nvt {heat}" if e.type == "NVT" else f"fix motion all npt {heat} {box}"]


def _velocities(settings: LammpsConfig) -> str:
    """Return the command for velocities that do not depend on the number of ranks."""
    t, seed = settings.ensemble.temperature, settings.seed
    return f"velocity all create {t:.10g} {seed} dist gaussian mom yes rot no loop all"


def _numbers(folder: Path) -> NDArray[np.int64]:
    topology, *_ = record.load_structure(folder)
    return np.array([atom.element.atomic_number for atom in topology.atoms()], np.int64)

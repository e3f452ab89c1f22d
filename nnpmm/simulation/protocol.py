"""Run or resume a hybrid simulation, from settings to report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openmm

from nnpmm.core.errors import ConfigError, InputFileError, SimulationError
from nnpmm.core.files import sync_directory
from nnpmm.core.run_folder import locked
from nnpmm.integrators import TimestepLimit, region_limit, surroundings_limit
from nnpmm.simulation.preparation import narration
from nnpmm.simulation.preparation.platform import choose_platform
from nnpmm.simulation.preparation.prepared import PreparedSystem
from nnpmm.simulation.preparation.start_checks import check_restraint, check_start
from nnpmm.simulation.record import storage
from nnpmm.simulation.record.checkpoint import CheckpointRecord, read_record
from nnpmm.simulation.record.files import writing
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.simulation.stages.integration import check_integrator, check_time_steps
from nnpmm.simulation.stages.staged_run import RunResult, StagedRun, model_digest, region_atoms
from nnpmm.simulation.stages.trajectory_atoms import part_of, trajectory_atoms
from nnpmm.simulation.stages.variables import check_sampling

__all__ = ["RunResult", "check_prepared", "open_platform", "run_prepared", "run_protocol"]


def run_protocol(
    prepared: PreparedSystem,
    settings: ProtocolConfig,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> RunResult:
    """Minimise, heat, equilibrate and produce, with the stages in the settings.

    Args:
        prepared: the hybrid system; it is not changed.
        settings: the protocol.
        resume: continue the run in ``settings.output.directory``, from the beginning if it has no
            checkpoint yet.
        overwrite: replace the run in that folder.
        progress: show progress on stderr.

    Raises:
        ConfigError: settings that contradict the system or the run in the folder.
        SimulationError: the simulation cannot continue, or its files cannot be written.
    """
    check_restraint(prepared.mm.topology, settings)
    _check_time_steps(prepared, settings)
    return run_prepared(prepared, settings, resume=resume, overwrite=overwrite, progress=progress)


def run_prepared(
    prepared: PreparedSystem,
    settings: ProtocolConfig,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> RunResult:
    """Run a system from `prepare_system`, which has checked the time steps.

    Args:
        prepared: the hybrid system; it is not changed.
        settings: the settings that it was prepared with.
        resume: see `run_protocol`.
        overwrite: see `run_protocol`.
        progress: see `run_protocol`.

    Raises:
        ConfigError: settings that contradict the system or the run in the folder.
        SimulationError: the simulation cannot continue, or its files cannot be written.
    """
    check_prepared(prepared, settings)
    resuming = storage.check_directory(settings, resume=resume, overwrite=overwrite)
    directory = settings.output.directory
    record = read_record(directory) if resuming else None
    platform = open_platform(settings, None if record is None else record.platform)
    if record is None:
        check_start(prepared, settings, platform)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output.directory: cannot make {directory}: {error.strerror}") from error
    with locked(directory):
        if not resuming:
            _begin(prepared, settings)
        settings_sha256 = storage.save_settings(settings, directory)
        if record is not None:
            _check_record(record, settings_sha256, prepared, directory)
        run = StagedRun(prepared, settings, platform, settings_sha256, progress, resuming)
        try:
            return run.run_stages(record)
        except openmm.OpenMMException as error:
            text = " ".join(str(error).split())
            raise SimulationError(f"OpenMM stopped: {text}") from error


def open_platform(
    settings: ProtocolConfig, required: str | None = None
) -> tuple[openmm.Platform, dict[str, str]]:
    """Return the platform of a run and its properties; report it and the next step as progress.

    Args:
        settings: of the run.
        required: platform that a checkpoint is bound to.

    Raises:
        ConfigError: the platform is not available or does not work.
        ModelError: more threads than this machine can use.
    """
    platform = choose_platform(settings.platform, required)
    narration.tell_platform(*platform)
    narration.working("first forces (the network is compiled at its first use on a machine)")
    return platform


def check_prepared(prepared: PreparedSystem, settings: ProtocolConfig) -> None:
    """Check that a system can be simulated with these settings.

    Raises:
        InputFileError: a position is not finite.
        ConfigError: time steps that are not multiples of each other, several time steps without an
            inner potential, variables that cannot be biased, or NPT without a box.
    """
    if not np.isfinite(prepared.mm.positions).all():
        raise InputFileError("the starting positions are not all finite numbers")
    check_integrator(prepared.hybrid.system, settings)
    check_sampling(prepared.mm, settings)
    trajectory_atoms(prepared.mm.topology, settings.output.trajectory_atoms)
    if settings.ensemble.type == "NPT" and prepared.mm.box_vectors is None:
        raise ConfigError("ensemble.type: found NPT, but the system has no periodic box: set NVT")


def _check_time_steps(prepared: PreparedSystem, settings: ProtocolConfig) -> None:
    """Check the time steps against the limits of the surroundings and of the region."""
    hybrid, motion = prepared.hybrid, prepared.motion
    # If the network's vibrations are unknown, the force field's limits also apply to the region.
    region = () if motion is None else hybrid.region.atoms

    def around(impulse: bool) -> TimestepLimit:
        return surroundings_limit(hybrid.system, hybrid.topology, region, impulse=impulse)

    check_time_steps(settings, around)
    if motion is not None:
        check_time_steps(settings, lambda impulse: region_limit(motion, impulse=impulse))


def _begin(prepared: PreparedSystem, settings: ProtocolConfig) -> None:
    """Write the system and structures; the caller then writes the settings, which mark a run."""
    directory, mm = settings.output.directory, prepared.mm
    storage.remove_run(directory)
    storage.save_mm_system(mm, directory)
    storage.write_structure(directory, "topology", mm.topology, mm.positions)
    atoms = trajectory_atoms(mm.topology, settings.output.trajectory_atoms)
    if atoms is not None:
        part = part_of(mm.topology, atoms)
        storage.write_structure(directory, "trajectory", part, mm.positions[atoms])
    with writing(directory):
        sync_directory(directory)


def _check_record(
    record: CheckpointRecord, settings_sha256: str, prepared: PreparedSystem, directory: Path
) -> None:
    """Check that a checkpoint belongs to these settings, this network and this region."""
    remedy = "restore the files, or start again with overwrite=True"
    if record.settings_sha256 != settings_sha256:
        raise ConfigError(
            f"{directory}: checkpoint.json and settings.yaml have different settings: {remedy}"
        )
    digest, atoms = model_digest(prepared), region_atoms(prepared)
    if record.model_digest != digest:
        raise ConfigError(
            f"cannot resume: the network differs from that of the run in {directory} (checksum "
            f"{digest}, before {record.model_digest}): {remedy}"
        )
    if record.region != atoms:
        raise ConfigError(
            f"cannot resume: the region's atoms differ from those of the run in {directory} "
            f"({len(atoms)} atoms, before {len(record.region)}): {remedy}"
        )

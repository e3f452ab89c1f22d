"""Checkpoints that survive a crash at any instant.

A checkpoint consists of the binary state that OpenMM writes and a small JSON record of the progress
and the length of every output file. The record is replaced atomically, after everything that it
refers to is on the disk; only then is the previous binary state deleted. The record contains its
own checksum, because a changed step or number of frames would corrupt the output.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openmm
from pydantic import Field, ValidationError

from nnpmm.core.errors import SimulationError
from nnpmm.core.files import sha256_of, sync_file
from nnpmm.core.section import Section
from nnpmm.simulation.record.files import write_atomically, writing

__all__ = ["CHECKPOINT", "CheckpointRecord", "load_state", "read_record", "write_checkpoint"]

CHECKPOINT = "checkpoint.json"
_CHECKSUM = "record_sha256"
_AGAIN = "restore it from a copy, or start again with overwrite=True"


class CheckpointRecord(Section):
    """The progress of a run and the state of its files."""

    stage: str = Field(description="stage")
    step: int = Field(ge=0, description="steps done within the stage")
    frames: int = Field(ge=0, description="frames in the trajectory")
    sizes: dict[str, int] = Field(description="size in bytes of every growing output file")
    serial: int = Field(ge=0, description="number of the checkpoint, counted up")
    state_file: str = Field(description="OpenMM's binary checkpoint")
    state_sha256: str = Field(description="its SHA-256")
    settings_sha256: str = Field(description="SHA-256 of the settings that must not change")
    model_digest: str | None = Field(description="checksum of the network, if it has one")
    region: tuple[int, ...] = Field(description="the region's atoms, 0-based")
    platform: str = Field(description="OpenMM platform, which the binary state is bound to")
    openmm: str = Field(description="version of OpenMM, which the binary state is bound to")

    def to_json(self) -> str:
        """Return the record as text, with its checksum."""
        data = self.model_dump(mode="json")
        return json.dumps({**data, _CHECKSUM: _checksum(data)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: bytes) -> CheckpointRecord:
        """Return the record that ``to_json`` gave.

        Raises:
            ValueError: it is not a record, or it was changed.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or _CHECKSUM not in data:
            raise ValueError(f"has no {_CHECKSUM}")
        if data.pop(_CHECKSUM) != _checksum(data):
            raise ValueError(f"does not match its {_CHECKSUM}, so it was changed or cut")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ValueError(f"has {error.error_count()} wrong or missing entries") from error


def _checksum(data: dict[str, Any]) -> str:
    return sha256_of(json.dumps(data, sort_keys=True).encode())


def read_record(directory: Path) -> CheckpointRecord | None:
    """Read a run's last checkpoint record; None if it has none yet.

    Raises:
        SimulationError: the record is damaged.
    """
    path = directory / CHECKPOINT
    try:
        record = CheckpointRecord.from_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SimulationError(f"{path}: cannot be read ({error.strerror}): {_AGAIN}") from error
    except (ValueError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else "is not JSON"
        raise SimulationError(
            f"{path}: the checkpoint record is damaged (it {reason}): {_AGAIN}"
        ) from error
    if Path(record.state_file).name != record.state_file:
        raise SimulationError(f"{path}: found the file name {record.state_file!r}, a path")
    return record


def write_checkpoint(
    directory: Path,
    context: openmm.Context,
    *,
    stage: str,
    step: int,
    frames: int,
    files: list[Path],
    serial: int,
    settings_sha256: str,
    model_digest: str | None,
    region: tuple[int, ...],
) -> CheckpointRecord:
    """Write a checkpoint of a context and of the current sizes of the files.

    Args:
        directory: folder of the run.
        context: its state is written.
        stage: name of the stage.
        step: steps done within the stage.
        frames: frames in the trajectory.
        files: growing output files, flushed to the operating system by the caller.
        serial: number of this checkpoint, larger than that of the one before.
        settings_sha256: hash of the settings.
        model_digest: checksum of the network.
        region: 0-based indices of its atoms.
    """
    sizes = {}
    for path in files:
        with writing(path):
            sizes[path.name] = sync_file(path)
    state = context.createCheckpoint()
    state_file = directory / f"checkpoint-{serial}.chk"
    write_atomically(state_file, state)
    record = CheckpointRecord(
        stage=stage,
        step=step,
        frames=frames,
        sizes=sizes,
        serial=serial,
        state_file=state_file.name,
        state_sha256=sha256_of(state),
        settings_sha256=settings_sha256,
        model_digest=model_digest,
        region=region,
        platform=context.getPlatform().getName(),
        openmm=openmm.version.version,
    )
    write_atomically(directory / CHECKPOINT, record.to_json())
    with writing(directory):
        for old in directory.glob("checkpoint-*.chk*"):
            if old != state_file:
                old.unlink(missing_ok=True)
    return record


def load_state(directory: Path, record: CheckpointRecord, context: openmm.Context) -> None:
    """Load the binary state of a checkpoint into a context.

    Raises:
        SimulationError: the file is missing or damaged, or OpenMM cannot load it here.
    """
    path = directory / record.state_file
    if not path.is_file():
        raise SimulationError(f"{path}: the checkpoint's state is missing: {_AGAIN}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SimulationError(f"{path}: cannot be read ({error.strerror}): {_AGAIN}") from error
    if sha256_of(data) != record.state_sha256:
        raise SimulationError(f"{path}: does not match its sha256 in {CHECKPOINT}: {_AGAIN}")
    try:
        context.loadCheckpoint(data)
    except openmm.OpenMMException as error:
        raise SimulationError(
            f"{path}: OpenMM {openmm.version.version} on platform "
            f"{context.getPlatform().getName()} cannot load it ({error}); it was written by OpenMM "
            f"{record.openmm} on platform {record.platform}"
        ) from error

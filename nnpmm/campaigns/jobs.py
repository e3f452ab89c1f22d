"""A job: a function, its inputs, and the file that it ends in. It runs in a worker process."""

from __future__ import annotations

import json
import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from pydantic import BaseModel

from nnpmm.campaigns.attempts import NOT_ITS_FAULT, AttemptsError, derived_seed, first_success
from nnpmm.core.files import sha256_of
from nnpmm.errors import ConfigError, InputFileError

if TYPE_CHECKING:
    from nnpmm.campaigns.store import Store

__all__ = ["ATTEMPTS", "Attempt", "Job", "JobReport", "Output", "execute_job"]

#: A failed job is tried once more, with another seed.
ATTEMPTS = 2


@dataclass(frozen=True)
class Attempt:
    """What the function of a job is given for one attempt.

    Attributes:
        work: folder of its own, which is deleted when the job has ended. It is kept while the
            function is called again after a kill, which can then go on there.
        seed: 1 to 2^31 - 1, of its own for each job and attempt.
        threads: that the function may use.
    """

    work: Path
    seed: int
    threads: int = 1


@dataclass(frozen=True)
class Output:
    """What the function of a job returns: named arrays, and a JSON record of what they are."""

    arrays: Mapping[str, NDArray[Any]]
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A calculation that ends in one file.

    Attributes:
        name: unique in its campaign; may have several parts, as in ``DOPC/C1-P4``.
        function: at the top of a module or script, so that another process has it; it is called
            with the inputs as keywords and the ``Attempt`` as ``attempt``, and returns an
            ``Output``.
        inputs: all that the output depends on: JSON, settings (pydantic) and paths of files.
        seed: of the campaign; the seeds of all attempts are derived from it.
        needs: name of the preparation that has to end before, or None.

    Raises:
        ConfigError: the name is no relative path, or leads out of its folder.
    """

    name: str
    function: Callable[..., Output]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 1
    needs: str | None = None

    def __post_init__(self) -> None:
        parts = self.name.split("/")
        if any(part in ("", ".", "..") for part in parts) or set(self.name) & {"\\", "\0"}:
            raise ConfigError(
                f"found the job {self.name!r}, allowed: names such as a or a/b, as files have"
            )

    @property
    def key(self) -> str:
        """SHA-256 of the name, the function's name, the seed and the inputs; of files the content.

        Raises:
            InputFileError: a file that is an input cannot be read.
            TypeError: an input is neither JSON, nor settings, nor a path.
        """
        function = f"{self.function.__module__}.{self.function.__qualname__}"
        identity = [self.name, function, self.seed, dict(self.inputs)]
        text = json.dumps(identity, sort_keys=True, default=_as_json)
        return sha256_of(text.encode())


def _as_json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        try:
            return {"sha256": sha256_of(value.read_bytes())}
        except OSError as error:
            raise InputFileError(
                f"{value}: cannot be read ({error.strerror or error}): it is the input of a job"
            ) from error
    raise TypeError(
        f"found a {type(value).__name__} among the inputs of a job, allowed: JSON, settings and "
        "paths of files"
    )


@dataclass(frozen=True)
class JobReport:
    """How a job ended; ``reasons`` holds a line for each failed attempt and each kill."""

    name: str
    done: bool
    seconds: float
    reasons: tuple[str, ...] = ()


def execute_job(job: Job, store: Store, scratch: Path, threads: int = 1) -> JobReport:
    """Run a job with up to two seeds and store its result, or why it failed, atomically.

    A job that ended through no fault of its own (its program was killed, the disk is full, a
    package is missing here) is not given up: no failure is stored, and the next campaign tries it
    again.

    A job that is done or given up already is not run again: dask repeats all that a lost worker
    had done, as its reports are lost with it.

    Args:
        job: what to run.
        store: where the result goes.
        scratch: for the folders that the function works in.
        threads: that the function may use.

    Raises:
        UnwritableError: the result cannot be written.
        InputFileError: the reason why the job was given up is damaged.
    """
    if store.is_done(job):
        return JobReport(job.name, True, 0.0)
    if store.is_given_up(job):
        return JobReport(job.name, False, 0.0, store.reasons(job))
    begin = time.monotonic()
    reasons: list[str] = []
    works = [scratch / f"{job.name}.{attempt}" for attempt in range(ATTEMPTS)]

    def run(attempt: int, seed: int) -> Output:
        _remove(works[:attempt])
        works[attempt].mkdir(parents=True, exist_ok=True)
        return job.function(**job.inputs, attempt=Attempt(works[attempt], seed, threads))

    _remove(works)
    seeds = [derived_seed(job.seed, job.name, attempt) for attempt in range(ATTEMPTS)]
    done = False
    with store.running(job):
        try:
            output, seed = first_success(run, seeds, reasons)
        except NOT_ITS_FAULT as error:
            reasons.append(" ".join(str(error).split()))
        except AttemptsError as error:
            detail = "".join(traceback.format_exception(error.__cause__))
            store.save_failure(job, reasons, detail)
        else:
            seconds = time.monotonic() - begin
            history = {"seed": seed, "attempts": reasons, "threads": threads, "seconds": seconds}
            store.save(job, Output(output.arrays, {**output.record, **history}))
            done = True
        finally:
            _remove(works)
    return JobReport(job.name, done, time.monotonic() - begin, tuple(reasons))


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)

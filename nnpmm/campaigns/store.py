"""The folder that stores the results of jobs.

Layout::

    ADDRESS.safetensors        the result of a job
    failed/ADDRESS.json        reasons why a job was given up
    running/ADDRESS            mark of a job that runs now
    .lock                      lock against a second campaign

An existing result is complete, because files are written atomically.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nnpmm.campaigns.jobs import Job, Output
from nnpmm.core.arrays import load_arrays, load_record, save_arrays
from nnpmm.core.errors import ConfigError, InputFileError, shortened
from nnpmm.core.files import write_atomically
from nnpmm.core.locks import is_locked, locked

__all__ = ["Store", "by_key", "by_name", "failure_path", "read_reasons", "result_path"]

_FAILED, _RUNNING, _LOCK = "failed", "running", ".lock"
#: Folders in the store that contain no results; names must not begin with them.
_RESERVED = (_FAILED, _RUNNING, "scratch")


def by_key(job: Job) -> str:
    """Return the address of a job by its content: changed inputs give another file."""
    return f"{job.key[:2]}/{job.key}"


def by_name(job: Job) -> str:
    """Return the address of a job by its name: the caller must ensure that inputs never change.

    Raises:
        ConfigError: the name begins with that of a reserved folder of the store.
    """
    if job.name.split("/")[0] in _RESERVED:
        raise ConfigError(
            f"found the job {job.name!r}, allowed: names that do not begin with "
            f"{', '.join(_RESERVED)}"
        )
    return job.name


def result_path(folder: Path, address: str) -> Path:
    """Return the file of a result."""
    return folder / f"{address}.safetensors"


def failure_path(folder: Path, address: str) -> Path:
    """Return the file with the reasons why a job was given up."""
    return folder / _FAILED / f"{address}.json"


def read_reasons(path: Path) -> tuple[str, ...]:
    """Return why a job was given up, a line for each attempt.

    Args:
        path: as ``failure_path`` gives it.

    Raises:
        InputFileError: the file is missing or damaged.
    """
    try:
        first, *others = json.loads(path.read_text(encoding="utf-8"))["attempts"]
        return str(first), *map(str, others)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputFileError(f"{path}: cannot be read ({shortened(error)}); delete it") from error


@dataclass(frozen=True)
class Store:
    """Results of jobs in a folder.

    Attributes:
        folder: of the store, created with the first file.
        address: where the file of a job is, relative to the folder: ``by_key`` or ``by_name``.
    """

    folder: Path
    address: Callable[[Job], str] = by_key

    def is_done(self, job: Job) -> bool:
        """Return whether a job has a result."""
        return result_path(self.folder, self.address(job)).exists()

    def is_given_up(self, job: Job) -> bool:
        """Return whether a job failed with every seed, and has no result since."""
        return failure_path(self.folder, self.address(job)).exists() and not self.is_done(job)

    def is_running(self, job: Job) -> bool:
        """Return whether a job runs now, in a campaign that has locked the store."""
        return self._mark(job).exists() and is_locked(self.folder / _LOCK)

    def load(self, job: Job) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the arrays and the record of a result.

        Raises:
            InputFileError: the result is missing or damaged.
        """
        return load_arrays(result_path(self.folder, self.address(job)))

    def record(self, job: Job) -> dict[str, Any]:
        """Return the record of a result: that of the function, with data on the attempts.

        The latter are ``seed``, ``attempts`` (a line for each failure and kill before),
        ``threads`` and ``seconds``.

        Raises:
            InputFileError: the result is missing or damaged.
        """
        return load_record(result_path(self.folder, self.address(job)))

    def reasons(self, job: Job) -> tuple[str, ...]:
        """Return why a job was given up, a line for each attempt.

        Raises:
            InputFileError: the file is missing or damaged.
        """
        return read_reasons(failure_path(self.folder, self.address(job)))

    def save(self, job: Job, output: Output) -> None:
        """Write a result, and remove an earlier failure.

        Raises:
            UnwritableError: the file cannot be written.
        """
        path = result_path(self.folder, self.address(job))
        save_arrays(path, output.arrays, output.record)
        self.forget_failure(job)

    def forget_failure(self, job: Job) -> None:
        """Remove the failure of a job, so that it counts as one that has not run."""
        failure_path(self.folder, self.address(job)).unlink(missing_ok=True)

    def save_failure(self, job: Job, reasons: Sequence[str], detail: str) -> None:
        """Write the reasons why a job was given up.

        Args:
            job: that failed with every seed.
            reasons: a line for each failure.
            detail: traceback of the last one.

        Raises:
            UnwritableError: the file cannot be written.
        """
        record = {"job": job.name, "attempts": list(reasons), "traceback": detail}
        path = failure_path(self.folder, self.address(job))
        write_atomically(path, json.dumps(record, indent=1) + "\n")

    def locked(
        self, who: str = "another campaign works in this folder"
    ) -> AbstractContextManager[None]:
        """Lock the store against a second campaign; a killed process releases it.

        Args:
            who: owner of the lock, for the message of the error.

        Raises:
            ConfigError: another process has locked it.
            UnwritableError: the folder cannot be created.
        """
        message = f"{self.folder}: {who} already; wait for it or stop it"
        return locked(self.folder / _LOCK, message)

    @contextmanager
    def running(self, job: Job) -> Iterator[None]:
        """Mark a job as running; errors of the mark are ignored."""
        mark = self._mark(job)
        with suppress(OSError):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        try:
            yield
        finally:
            with suppress(OSError):
                mark.unlink(missing_ok=True)

    @property
    def marks(self) -> Path:
        """Folder of the marks of jobs that run; a killed campaign leaves some."""
        return self.folder / _RUNNING

    def _mark(self, job: Job) -> Path:
        return self.marks / self.address(job)

"""Runs one job, in a worker process, and stores its result."""

from __future__ import annotations

import shutil
import time
import traceback
from pathlib import Path

from nnpmm.campaigns.attempts import EXTERNAL_ERRORS, AttemptsError, derived_seed, first_success
from nnpmm.campaigns.jobs import Attempt, Job, JobReport, Output
from nnpmm.campaigns.store import Store

__all__ = ["ATTEMPTS", "execute_job"]

#: A job whose simulation failed is repeated once with another seed.
ATTEMPTS = 2


def execute_job(job: Job, store: Store, scratch: Path, threads: int = 1) -> JobReport:
    """Run a job with up to two seeds and store its result, or why it failed, atomically.

    A job whose input is wrong is given up at once: another seed would not help.

    A job that ended for an external reason (its program was killed, the disk is full, a package is
    missing here) is not given up: no failure is stored, and the next campaign runs it again.

    A job that is done or given up is not run again: dask repeats all jobs of a lost worker, because
    their reports are lost with it.

    Args:
        job: the job.
        store: of the result.
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
    folders, temporary = _folders(job, scratch)

    def run(attempt: int, seed: int) -> Output:
        _remove(temporary[:attempt])
        folders[attempt].mkdir(parents=True, exist_ok=True)
        arguments = Attempt(folders[attempt], seed, threads, attempt)
        return job.function(**job.inputs, attempt=arguments)

    _remove(temporary)
    seeds = [derived_seed(job.seed, job.name, attempt) for attempt in range(ATTEMPTS)]
    done = False
    with store.running(job):
        try:
            output, seed = first_success(run, seeds, reasons)
        except EXTERNAL_ERRORS as error:
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
            _remove(temporary)
    return JobReport(job.name, done, time.monotonic() - begin, tuple(reasons))


def _folders(job: Job, scratch: Path) -> tuple[list[Path], list[Path]]:
    """Return the folder of each attempt, and the temporary ones among them."""
    if job.folder is None:
        folders = [scratch / f"{job.name}.{attempt}" for attempt in range(ATTEMPTS)]
        return folders, folders
    others = [job.folder / f"attempt-{attempt + 1}" for attempt in range(1, ATTEMPTS)]
    return [job.folder, *others], []


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)

"""Runs the jobs that have no result yet, one after the other or many at once."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from nnpmm.campaigns.clusters import ClusterSettings
from nnpmm.campaigns.executors import (
    Plan,
    Preparation,
    ProgressCallback,
    run_on_cluster,
    run_serially,
)
from nnpmm.campaigns.jobs import Job, JobReport
from nnpmm.campaigns.store import Store
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.core.files import require_folder

__all__ = ["CampaignResult", "ReportCallback", "require_some", "run_campaign"]

#: Called after every job with its report, the number of finished jobs, and the number of all jobs.
ReportCallback = Callable[[JobReport, int, int], None]


@dataclass(frozen=True)
class CampaignResult:
    """Numbers of jobs that had results, had failed before, finished now, and failed now."""

    already: int
    given_up: int
    done: int
    failed: tuple[JobReport, ...]


def run_campaign(
    jobs: Sequence[Job],
    store: Store,
    *,
    preparations: Mapping[str, Preparation] | None = None,
    cluster: ClusterSettings | None = None,
    scratch: Path | None = None,
    retry_failed: bool = False,
    report: ReportCallback | None = None,
    progress: ProgressCallback | None = None,
    locked: bool = False,
) -> CampaignResult:
    """Start or continue a campaign: run every job that has no result.

    A killed campaign continues with the next call. The jobs that were running start again, except
    that jobs with a folder continue there.

    Args:
        jobs: in order of priority.
        store: of their results.
        preparations: by name, functions that must finish before the jobs that need them.
        cluster: where jobs run; one local worker if None.
        scratch: for the folders that jobs work in, which are deleted; inside the store if None.
        retry_failed: repeat failed jobs.
        report: called for every job that ends.
        progress: called with the progress of the preparations.
        locked: the caller has locked the store by ``Store.locked``.

    Raises:
        ConfigError: another campaign works in this store, two jobs have the same result, or a
            preparation is missing.
        InputFileError: a file that is an input of a job cannot be read.
        UnwritableError: a folder cannot be written to.
        OptionalDependencyError: dask is not installed.
        SimulationError: the workers do not start.
    """
    _check(jobs, store, preparations or {})
    with nullcontext() if locked else store.locked():
        unfinished = [job for job in jobs if not store.is_done(job)]
        todo = [job for job in unfinished if retry_failed or not store.is_given_up(job)]
        work = _scratch(store.folder, scratch)
        where = cluster or ClusterSettings()
        reports = _run(Plan(todo, store, work, where, preparations or {}, progress), report)
    failed = tuple(r for r in reports if not r.done)
    return CampaignResult(
        already=len(jobs) - len(unfinished),
        given_up=len(unfinished) - len(todo),
        done=len(reports) - len(failed),
        failed=failed,
    )


def _run(plan: Plan, report: ReportCallback | None) -> list[JobReport]:
    """Return how the jobs of a plan ended; the store has to be locked."""
    reports = []
    _clear(plan)  # remains of a killed campaign, whose jobs start again
    try:
        if plan.jobs:
            require_folder(plan.scratch)
        for job in plan.jobs:
            plan.store.forget_failure(job)
        run = run_serially if plan.cluster.kind == "serial" else run_on_cluster
        for ended in run(plan):
            reports.append(ended)
            if report is not None:
                report(ended, len(reports), len(plan.jobs))
    finally:
        _clear(plan)
    return reports


def _check(jobs: Sequence[Job], store: Store, preparations: Mapping[str, Preparation]) -> None:
    """Check that results are unique and that preparations exist."""
    for address, count in Counter(store.address(job) for job in jobs).items():
        if count > 1:
            raise ConfigError(f"found {count} jobs with the result {address}, allowed: one")
    for job in jobs:
        if job.needs is not None and job.needs not in preparations:
            known = ", ".join(preparations) or "none"
            raise ConfigError(
                f"job {job.name}: found no preparation {job.needs!r}, expected one of {known}"
            )


def _scratch(folder: Path, scratch: Path | None) -> Path:
    if scratch is None:
        return folder / "scratch"
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    return scratch.resolve() / f"campaign-{digest}"


def _clear(plan: Plan) -> None:
    for folder in (plan.scratch, plan.store.marks):
        shutil.rmtree(folder, ignore_errors=True)


def require_some(result: CampaignResult) -> None:
    """Check that a campaign did not fail as a whole.

    Raises:
        SimulationError: every job that ran failed.
    """
    if result.failed and result.done == 0:
        first = result.failed[0]
        raise SimulationError(
            f"all {len(result.failed)} jobs failed; {first.name}: {first.reasons[-1]}"
        )

"""Runs the jobs that have no result yet, one after the other or many at once."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
from nnpmm.core.files import require_folder
from nnpmm.errors import ConfigError, SimulationError

__all__ = ["CampaignResult", "ReportCallback", "require_some", "run_campaign", "run_jobs"]

#: Called after every job with its report, the number of jobs that ended, and of all jobs to run.
ReportCallback = Callable[[JobReport, int, int], None]


@dataclass(frozen=True)
class CampaignResult:
    """How many jobs were there already, were given up before, were done now, and failed."""

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
) -> CampaignResult:
    """Begin a campaign, or go on with it: hold the store and run every job that has no result.

    A killed campaign goes on with the next call and loses the jobs that ran.

    Args:
        jobs: the most urgent first.
        store: of their results.
        preparations: by name, what has to end before the jobs that need it.
        cluster: where jobs run; one local worker if None.
        scratch: for the folders that jobs work in, which are deleted; inside the store if None.
        retry_failed: try jobs again that were given up.
        report: is told of every job that ends.
        progress: is told how far the preparations are.

    Raises:
        ConfigError: another campaign works in this store, two jobs have the same result, or a
            preparation is not there.
        UnwritableError: a folder cannot be written to.
        OptionalDependencyError: dask is not installed.
        SimulationError: the workers do not start.
    """
    with store.locked():
        return run_jobs(
            jobs,
            store,
            preparations=preparations,
            cluster=cluster,
            scratch=scratch,
            retry_failed=retry_failed,
            report=report,
            progress=progress,
        )


def run_jobs(
    jobs: Sequence[Job],
    store: Store,
    *,
    preparations: Mapping[str, Preparation] | None = None,
    cluster: ClusterSettings | None = None,
    scratch: Path | None = None,
    retry_failed: bool = False,
    report: ReportCallback | None = None,
    progress: ProgressCallback | None = None,
) -> CampaignResult:
    """Do as ``run_campaign`` in a store that the caller holds with ``Store.locked``."""
    _check(jobs, store, preparations or {})
    left = [job for job in jobs if not store.is_done(job)]
    todo = [job for job in left if retry_failed or not store.is_given_up(job)]
    work = _scratch(store.folder, scratch)
    reports = []
    _clear(store, work)  # what a killed campaign left is worthless: its jobs begin anew
    try:
        if todo:
            require_folder(work)
        for job in todo:
            store.forget_failure(job)
        where = cluster or ClusterSettings()
        run = run_serially if where.kind == "serial" else run_on_cluster
        for ended in run(Plan(todo, store, work, where, preparations or {}, progress)):
            reports.append(ended)
            if report is not None:
                report(ended, len(reports), len(todo))
    finally:
        _clear(store, work)
    failed = tuple(r for r in reports if not r.done)
    already = len(jobs) - len(left)
    return CampaignResult(already, len(left) - len(todo), len(reports) - len(failed), failed)


def _check(jobs: Sequence[Job], store: Store, preparations: Mapping[str, Preparation]) -> None:
    """Refuse now what no worker could put right."""
    for address, count in Counter(store.address(job) for job in jobs).items():
        if count > 1:
            raise ConfigError(f"found {count} jobs with the result {address}, allowed: one")
    for job in jobs:
        if job.needs is not None and job.needs not in preparations:
            known = ", ".join(preparations) or "none"
            raise ConfigError(
                f"job {job.name}: found no preparation {job.needs!r}, there are: {known}"
            )


def _scratch(folder: Path, scratch: Path | None) -> Path:
    if scratch is None:
        return folder / "scratch"
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    return scratch.resolve() / f"campaign-{digest}"


def _clear(store: Store, work: Path) -> None:
    for folder in (work, store.marks):
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

"""Runs the jobs of a data set that are not done yet, one after the other or many at once."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nnpmm.campaigns.clusters import ClusterSettings
from nnpmm.core.files import require_folder
from nnpmm.core.locks import locked
from nnpmm.errors import SimulationError
from nnpmm.permeation.dataset import WATER, DatasetSettings, Job, open_dataset, require_buildable
from nnpmm.permeation.distributed_jobs import run_on_cluster
from nnpmm.permeation.jobs import JobReport, RelaxationCallback, prepare_bilayer, run_job
from nnpmm.permeation.martini.engines import create_engine

__all__ = ["CampaignResult", "build_dataset", "require_some"]

#: Called after every job with its report, the number of jobs that ended, and of all jobs to run.
ReportCallback = Callable[[JobReport, int, int], None]


@dataclass(frozen=True)
class CampaignResult:
    """How many jobs were there already, were given up before, were done now, and failed."""

    already: int
    given_up: int
    done: int
    failed: tuple[JobReport, ...]


def build_dataset(
    wanted: DatasetSettings,
    folder: Path,
    *,
    cluster: ClusterSettings | None = None,
    scratch: Path | None = None,
    retry_failed: bool = False,
    report: ReportCallback | None = None,
    relaxation: RelaxationCallback | None = None,
) -> CampaignResult:
    """Begin a data set, or go on with it: run every job whose result is not there.

    A killed campaign goes on with the next call and loses the jobs that ran.

    Args:
        wanted: what to make; lipids and solutes are added to those that are there.
        folder: of the data set.
        cluster: where jobs run; one local worker if None.
        scratch: for trajectories, which are deleted; inside ``folder`` if None.
        retry_failed: try jobs again that were given up.
        report: is told of every job that ends.
        relaxation: is told how far the bilayers are that are relaxed first.

    Raises:
        ConfigError: another campaign works on this folder, the data set there was made with
            other settings, its boxes are too small, or a folder cannot be written to.
        ForceFieldError: an unknown lipid.
        OptionalDependencyError: dask, or the engine asked for, is not installed.
    """
    cluster = cluster or ClusterSettings()
    if cluster.kind != "slurm":  # whose nodes may have what this machine lacks
        create_engine(wanted.engine)
    require_buildable(wanted)
    folder = folder.resolve()  # workers may stand elsewhere
    busy = f"{folder}: another build works on this data set already; wait for it or stop it"
    with locked(folder / ".lock", busy):
        settings = open_dataset(folder, wanted)
        jobs = [job for job in _shuffled_jobs(settings) if not job.result(folder).exists()]
        already = sum(1 for _ in settings.jobs()) - len(jobs)
        todo = [job for job in jobs if retry_failed or not job.failure(folder).exists()]
        work = _scratch(folder, scratch)
        # What a killed campaign left is worthless: its jobs begin anew.
        shutil.rmtree(work, ignore_errors=True)
        run = _run_serially if cluster.kind == "serial" else run_on_cluster
        reports = []
        try:
            if todo:
                require_folder(work)
            ends = run(todo, settings, folder, work, cluster, relaxation)
            for n, ended in enumerate(ends, start=1):
                reports.append(ended)
                if report is not None:
                    report(ended, n, len(todo))
        finally:
            shutil.rmtree(work, ignore_errors=True)
    failed = tuple(r for r in reports if not r.done)
    return CampaignResult(already, len(jobs) - len(todo), len(reports) - len(failed), failed)


def _shuffled_jobs(settings: DatasetSettings) -> list[Job]:
    """Return all jobs, solutes in random order: half a data set is then a fair sample."""
    solutes = np.random.default_rng(settings.seed).permutation(settings.solutes)
    return list(settings.model_copy(update={"solutes": tuple(solutes.tolist())}).jobs())


def _scratch(folder: Path, scratch: Path | None) -> Path:
    if scratch is None:
        return folder / "scratch"
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    return scratch.resolve() / f"dataset-{digest}"


def _run_serially(
    todo: list[Job],
    settings: DatasetSettings,
    folder: Path,
    scratch: Path,
    cluster: ClusterSettings,
    relaxation: RelaxationCallback | None,
) -> Iterator[JobReport]:
    """Yield reports as jobs end; those of a lipid whose bilayer cannot be made fail with it."""
    ready: dict[str, str | None] = {WATER: None}  # why a place is not; None if it is
    for job in todo:
        if job.place not in ready:
            tell = None if relaxation is None else partial(relaxation, job.place)
            try:
                prepare_bilayer(job.place, settings, scratch, cluster.threads, tell)
                ready[job.place] = None
            except SimulationError as error:
                ready[job.place] = str(error)
        reason = ready[job.place]
        if reason is None:
            yield run_job(job, settings, folder, scratch, cluster.threads)
        else:
            yield JobReport(job, False, 0.0, (reason,))


def require_some(result: CampaignResult) -> None:
    """Check that a campaign did not fail as a whole.

    Raises:
        SimulationError: every job that ran failed.
    """
    if result.failed and result.done == 0:
        first = result.failed[0]
        raise SimulationError(
            f"all {len(result.failed)} jobs failed; {first.job.name}: {first.reasons[-1]}"
        )

"""Runs the jobs of a data set that are not done yet, many at once through dask.distributed."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnpmm.errors import OptionalDependencyError, SimulationError
from nnpmm.permeation.clusters import ClusterSettings, create_cluster
from nnpmm.permeation.dataset import WATER, DatasetSettings, Job, open_dataset, require_buildable
from nnpmm.permeation.files import locked
from nnpmm.permeation.jobs import JobReport, prepare_bilayer, run_job
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

    Raises:
        ConfigError: another campaign works on this folder, the data set there was made with
            other settings, or its boxes are too small.
        ForceFieldError: an unknown lipid.
        OptionalDependencyError: dask, or the engine asked for, is not installed.
    """
    cluster = cluster or ClusterSettings()
    if cluster.kind != "slurm":  # whose nodes may have what this machine lacks
        create_engine(wanted.engine)
    require_buildable(wanted)
    folder = folder.resolve()  # workers may stand elsewhere
    with locked(folder / ".lock", f"{folder}: another build works on this data set"):
        settings = open_dataset(folder, wanted)
        jobs = [job for job in _shuffled_jobs(settings) if not job.result(folder).exists()]
        already = sum(1 for _ in settings.jobs()) - len(jobs)
        todo = [job for job in jobs if retry_failed or not job.failure(folder).exists()]
        work = _scratch(folder, scratch)
        # What a killed campaign left is worthless: its jobs begin anew.
        shutil.rmtree(work, ignore_errors=True)
        run = _run_serially if cluster.kind == "serial" else _run_on_cluster
        reports = []
        try:
            for n, ended in enumerate(run(todo, settings, folder, work, cluster), start=1):
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
) -> Iterator[JobReport]:
    for job in todo:
        if job.place != WATER:
            prepare_bilayer(job.place, settings, scratch, cluster.threads)
        yield run_job(job, settings, folder, scratch, cluster.threads)


def _run_on_cluster(
    todo: list[Job],
    settings: DatasetSettings,
    folder: Path,
    scratch: Path,
    cluster: ClusterSettings,
) -> Iterator[JobReport]:
    """Yield reports as jobs end; jobs in a membrane wait for its relaxed bilayer."""
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise OptionalDependencyError(
            "dask.distributed is not installed: pip install dask distributed (or --cluster serial)"
        ) from error
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with create_cluster(cluster) as workers, Client(workers) as client:
        lipids = dict.fromkeys(job.place for job in todo if job.place != WATER)
        bilayers = {
            lipid: client.submit(
                prepare_bilayer, lipid, settings, scratch, cluster.threads, pure=False
            )
            for lipid in lipids
        }
        futures = {
            client.submit(
                _run_after,
                bilayers.get(job.place),
                *(job, settings, folder, scratch, cluster.threads),
                pure=False,
                priority=-n,
                retries=1,
            ): job
            for n, job in enumerate(todo)
        }
        for future in as_completed(futures):
            job = futures.pop(future)  # or dask would run it again if its worker is lost
            failure = future.exception()
            if failure is None:
                yield future.result()
            else:  # a worker that died, or a bilayer that could not be made
                reason = f"{type(failure).__name__}: {failure}"
                yield JobReport(job, False, 0.0, (reason,))


def _run_after(
    bilayer: None, job: Job, settings: DatasetSettings, folder: Path, scratch: Path, threads: int
) -> JobReport:
    """Run a job once its bilayer is there; dask waits for the first argument."""
    return run_job(job, settings, folder, scratch, threads)


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

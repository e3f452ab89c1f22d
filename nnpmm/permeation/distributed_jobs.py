"""Runs jobs many at once through dask.distributed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnpmm.campaigns.clusters import ClusterSettings, create_cluster
from nnpmm.errors import NnpmmError, OptionalDependencyError
from nnpmm.permeation.dataset import WATER, DatasetSettings, Job
from nnpmm.permeation.jobs import JobReport, RelaxationCallback, prepare_bilayer, run_job

__all__ = ["run_on_cluster"]

_TOPIC = "nnpmm-relaxation"


def run_on_cluster(
    todo: list[Job],
    settings: DatasetSettings,
    folder: Path,
    scratch: Path,
    cluster: ClusterSettings,
    relaxation: RelaxationCallback | None,
) -> Iterator[JobReport]:
    """Yield reports as jobs end; jobs in a membrane wait for its relaxed bilayer.

    Args:
        todo: jobs, the most urgent first.
        settings: of the data set.
        folder: of the data set.
        scratch: for the engine's files.
        cluster: where jobs run.
        relaxation: is told how far the bilayers are.

    Raises:
        OptionalDependencyError: dask is not installed.
        SimulationError: the workers do not start.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise OptionalDependencyError(
            "dask.distributed is not installed: pip install dask distributed (or --cluster serial)"
        ) from error
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with create_cluster(cluster) as workers, Client(workers) as client:
        if relaxation is not None:
            client.subscribe_topic(_TOPIC, lambda event: relaxation(*event[1]))
        lipids = dict.fromkeys(job.place for job in todo if job.place != WATER)
        bilayers = {
            lipid: client.submit(
                *(_prepare_and_tell, lipid, settings, scratch, cluster.threads), pure=False
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
                yield JobReport(job, False, 0.0, (_reason(failure),))


def _prepare_and_tell(lipid: str, settings: DatasetSettings, scratch: Path, threads: int) -> None:
    """Relax a bilayer and send word of it to the process that waits for the jobs."""
    from distributed import get_worker

    worker = get_worker()

    def tell(stage: str, done: float, length: float) -> None:
        worker.log_event(_TOPIC, (lipid, stage, done, length))

    prepare_bilayer(lipid, settings, scratch, threads, tell)


def _run_after(
    bilayer: None, job: Job, settings: DatasetSettings, folder: Path, scratch: Path, threads: int
) -> JobReport:
    """Run a job once its bilayer is there; dask waits for the first argument."""
    return run_job(job, settings, folder, scratch, threads)


def _reason(failure: Any) -> str:
    """Return in one line why dask has no result."""
    from distributed import KilledWorker

    if isinstance(failure, KilledWorker):
        return (
            "the worker processes that it ran in were killed, one after the other (they may have "
            "run out of memory); call again to go on"
        )
    text = " ".join(str(failure).split())
    return text if isinstance(failure, NnpmmError) else f"{type(failure).__name__}: {text}"

"""Runs jobs one after the other in this process, or many at once through dask.distributed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from nnpmm.campaigns.clusters import ClusterSettings, create_cluster
from nnpmm.campaigns.execution import execute_job
from nnpmm.campaigns.jobs import Job, JobReport
from nnpmm.campaigns.store import Store
from nnpmm.core.errors import NnpmmError, OptionalDependencyError

__all__ = [
    "Plan",
    "Preparation",
    "ProgressCallback",
    "StageCallback",
    "run_on_cluster",
    "run_serially",
]

#: Called with the name of a stage, how much of it is done, and its length, in its own unit.
StageCallback = Callable[[str, float, float], None]

#: Called with the name of a preparation and the arguments of a ``StageCallback``.
ProgressCallback = Callable[[str, str, float, float], None]

#: Provides something that several jobs need, such as a file in the cache. It is called with a
#: scratch folder, the number of threads, and a ``StageCallback`` or None.
Preparation = Callable[[Path, int, StageCallback | None], object]

_TOPIC = "nnpmm-preparation"


@dataclass(frozen=True)
class Plan:
    """The input of an executor.

    Attributes:
        jobs: in order of priority.
        store: of their results.
        scratch: for the folders that jobs and preparations work in.
        cluster: where they run.
        preparations: by name; only those that a job needs are run.
        progress: called with the progress of the preparations.
    """

    jobs: Sequence[Job]
    store: Store
    scratch: Path
    cluster: ClusterSettings
    preparations: Mapping[str, Preparation] = field(default_factory=dict)
    progress: ProgressCallback | None = None


def run_serially(plan: Plan) -> Iterator[JobReport]:
    """Yield reports as jobs end; jobs whose preparation fails fail with it, untried."""
    ready: dict[str, str | None] = {}  # for each preparation None, or the reason of its failure
    for job in plan.jobs:
        reason = None
        if job.needs is not None:
            if job.needs not in ready:
                ready[job.needs] = _prepare_here(plan, job.needs)
            reason = ready[job.needs]
        if reason is None:
            yield execute_job(job, plan.store, plan.scratch, plan.cluster.threads)
        else:
            yield JobReport(job.name, False, 0.0, (reason,))


def _prepare_here(plan: Plan, name: str) -> str | None:
    """Run a preparation, and return the reason of its failure or None."""
    progress = None if plan.progress is None else partial(plan.progress, name)
    try:
        plan.preparations[name](plan.scratch, plan.cluster.threads, progress)
    except Exception as error:  # only the jobs that need it fail
        return _in_one_line(error)
    return None


def run_on_cluster(plan: Plan) -> Iterator[JobReport]:
    """Yield reports as jobs end; jobs wait for the preparation that they need.

    Raises:
        OptionalDependencyError: dask is not installed.
        SimulationError: the workers do not start.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise OptionalDependencyError(
            "dask.distributed is not installed: pip install dask distributed, or use the serial "
            "cluster"
        ) from error
    logging.getLogger("distributed").setLevel(logging.ERROR)
    # They log results of a lost worker, which dask recomputes, and rejected jobs of a queue, which
    # are an error below.
    for name in ("distributed.client", "distributed.scheduler", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with create_cluster(plan.cluster) as workers, Client(workers) as client:
        if plan.progress is not None:
            progress = plan.progress
            client.subscribe_topic(_TOPIC, lambda event: progress(*event[1]))
        names = _submit(client, plan)
        for future in as_completed(names):
            name = names.pop(future)  # a future that is kept runs again if its worker is lost
            failure = future.exception()
            if failure is None:
                yield future.result()
            else:  # a worker that died, or a preparation that failed
                yield JobReport(name, False, 0.0, (_reason(failure),))


def _submit(client: Any, plan: Plan) -> dict[Any, str]:
    """Submit all jobs and the preparations that they need; return names by futures of the jobs."""
    threads = plan.cluster.threads
    ready = {
        name: client.submit(
            _prepare_and_report, name, plan.preparations[name], plan.scratch, threads, pure=False
        )
        for name in dict.fromkeys(job.needs for job in plan.jobs if job.needs is not None)
    }
    return {
        client.submit(
            _execute_after,
            None if job.needs is None else ready[job.needs],
            job,
            plan.store,
            plan.scratch,
            threads,
            pure=False,
            priority=-n,
            retries=1,
        ): job.name
        for n, job in enumerate(plan.jobs)
    }


def _prepare_and_report(name: str, preparation: Preparation, scratch: Path, threads: int) -> None:
    """Run a preparation, and send its progress to the process that waits for the jobs."""
    from distributed import get_worker

    worker = get_worker()

    def progress(stage: str, done: float, length: float) -> None:
        worker.log_event(_TOPIC, (name, stage, done, length))

    preparation(scratch, threads, progress)


def _execute_after(ready: object, job: Job, store: Store, scratch: Path, threads: int) -> JobReport:
    """Run a job once its preparation has ended; dask waits for the first argument."""
    return execute_job(job, store, scratch, threads)


def _reason(failure: Any) -> str:
    """Return in one line the reason why dask has no result."""
    from distributed import KilledWorker

    if isinstance(failure, KilledWorker):
        return (
            "the worker processes that ran it were killed, one after another (they may have "
            "run out of memory); repeat the call to continue"
        )
    return _in_one_line(failure)


def _in_one_line(failure: BaseException) -> str:
    text = " ".join(str(failure).split())
    return text if isinstance(failure, NnpmmError) else f"{type(failure).__name__}: {text}"

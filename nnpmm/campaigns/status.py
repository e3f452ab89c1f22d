"""Numbers of jobs of a campaign that are done, failed, running and missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nnpmm.campaigns.jobs import Job
from nnpmm.campaigns.store import Store

__all__ = ["JobCounts", "count_jobs", "failure_reasons"]


@dataclass
class JobCounts:
    """Numbers of jobs of one group by their state, and their cost.

    Attributes:
        done: jobs with a result.
        failed: jobs that failed with all seeds.
        running: jobs that run now.
        missing: all other jobs.
        retried: jobs with a result that needed more than one attempt.
        core_hours: used by the finished jobs.
    """

    done: int = 0
    failed: int = 0
    running: int = 0
    missing: int = 0
    retried: int = 0
    core_hours: float = 0.0


def count_jobs(
    jobs: Iterable[Job], store: Store, group: Callable[[Job], str] = lambda job: ""
) -> dict[str, JobCounts]:
    """Count jobs by their state, in groups in the order of the jobs.

    Args:
        jobs: of the campaign.
        store: of their results.
        group: names the group of a job; by default all are in one, "".

    Raises:
        InputFileError: a result is damaged.
    """
    groups: dict[str, JobCounts] = {}
    for job in jobs:
        counts = groups.setdefault(group(job), JobCounts())
        if store.is_done(job):
            record = store.record(job)
            counts.done += 1
            counts.retried += bool(record["attempts"])
            counts.core_hours += record["seconds"] * record["threads"] / 3600.0
        elif store.is_running(job):
            counts.running += 1
        elif store.is_given_up(job):
            counts.failed += 1
        else:
            counts.missing += 1
    return groups


def failure_reasons(jobs: Iterable[Job], store: Store) -> dict[str, str]:
    """Return the last reason of every job that was given up, by name.

    Raises:
        InputFileError: a file that contains a reason is damaged.
    """
    return {job.name: store.reasons(job)[-1] for job in jobs if store.is_given_up(job)}

"""The state of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nnpmm.campaigns import JobCounts, count_jobs, failure_reasons
from nnpmm.permeation.dataset.folder import read_settings
from nnpmm.permeation.runs.jobs import dataset_store, production_job

__all__ = ["PlaceStatus", "dataset_status"]


@dataclass(frozen=True)
class PlaceStatus:
    """The jobs in water or in one lipid, and the nanoseconds that those done simulated."""

    place: str
    counts: JobCounts
    simulated_ns: float


def dataset_status(folder: Path) -> tuple[list[PlaceStatus], dict[str, str]]:
    """Return the state of each place, and the last reason of every failed job.

    Raises:
        InputFileError: the folder is no data set, or a result is damaged.
    """
    settings, store = read_settings(folder), dataset_store(folder)
    jobs = [production_job(job, settings) for job in settings.jobs()]
    counts = count_jobs(jobs, store, lambda job: job.inputs["place"])
    length = settings.protocol.simulated_ns
    places = [PlaceStatus(place, found, found.done * length) for place, found in counts.items()]
    return places, failure_reasons(jobs, store)

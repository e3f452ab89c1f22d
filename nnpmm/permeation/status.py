"""The state of a data set as a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nnpmm.core.arrays import load_arrays
from nnpmm.permeation.dataset import read_settings

__all__ = ["PlaceStatus", "dataset_status", "print_status"]


@dataclass
class PlaceStatus:
    """Jobs in water or in one lipid, what they simulated and what it cost."""

    place: str
    done: int = 0
    failed: int = 0
    missing: int = 0
    retried: int = 0
    simulated_ns: float = 0.0
    core_hours: float = 0.0


def dataset_status(folder: Path) -> tuple[list[PlaceStatus], dict[str, str]]:
    """Return the state of each place, and the last reason of every failed job.

    Raises:
        InputFileError: the folder is no data set, or a result is damaged.
    """
    places: dict[str, PlaceStatus] = {}
    failures = {}
    for job in read_settings(folder).jobs():
        place = places.setdefault(job.place, PlaceStatus(job.place))
        if job.result(folder).exists():
            record = load_arrays(job.result(folder))[1]
            place.done += 1
            place.retried += bool(record["attempts"])
            place.simulated_ns += record["simulated_ns"]
            place.core_hours += record["seconds"] * record["threads"] / 3600.0
        elif job.failure(folder).exists():
            place.failed += 1
            failures[job.name] = job.reason(folder)
        else:
            place.missing += 1
    return list(places.values()), failures


def print_status(folder: Path) -> None:
    """Print the state of a data set as a table, and the failed jobs."""
    places, failures = dataset_status(folder)
    table = Table("place", title=str(folder))
    for name in ("done", "failed", "missing", "retried", "simulated ns", "core hours"):
        table.add_column(name, justify="right")
    for p in places:
        counts = (p.done, p.failed, p.missing, p.retried)
        table.add_row(p.place, *map(str, counts), f"{p.simulated_ns:.1f}", f"{p.core_hours:.2f}")
    console = Console()
    console.print(table)
    for name, reason in failures.items():
        console.print(f"failed {name}: {reason}", markup=False, highlight=False)

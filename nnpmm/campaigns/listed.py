"""A folder in which the calculations of a list run, with their settings and progress.

::

    campaign.json       the command, and of each calculation its settings
    jobs/NAME/          folder in which a calculation works and continues
    results/            results and failures; see nnpmm.campaigns.store
    results.csv         the same as a table

A calculation keeps the settings that it was started with; other settings under the same name are
refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from nnpmm.campaigns.campaign import CampaignResult, ReportCallback, run_campaign
from nnpmm.campaigns.clusters import ClusterSettings
from nnpmm.campaigns.jobs import Job, Output
from nnpmm.campaigns.lists import ListRow
from nnpmm.campaigns.store import Store, by_name, failure_path
from nnpmm.core.errors import ConfigError, InputFileError, NnpmmError, shortened
from nnpmm.core.files import require_folder, write_atomically
from nnpmm.core.settings.merging import flattened

__all__ = [
    "JobState",
    "Listed",
    "listed",
    "listed_store",
    "read_listed",
    "run_listed",
    "states_of",
]

_LAST_LINES = 5  # of a traceback, which are shown
_RECORD, _JOBS, _RESULTS, _VERSION = "campaign.json", "jobs", "results", 1
# Settings that the job sets itself, and those that do not change the results.
_OF_JOB, _FREE = ("output.directory",), ("threads", "platform.threads")
State = Literal["waiting", "running", "finished", "failed"]


@dataclass(frozen=True)
class Listed:
    """A calculation of a list.

    Attributes:
        name: of the calculation.
        values: of its row.
        settings: all of them, as JSON.
        digest: of the settings and of the content of the files that they name.
    """

    name: str
    values: Mapping[str, Any]
    settings: Mapping[str, Any]
    digest: str


@dataclass(frozen=True)
class JobState:
    """The progress of a calculation.

    Attributes:
        name: of the calculation.
        state: waiting, running, finished or failed.
        seconds: duration of a finished calculation; None for others.
        reasons: a line for each failed attempt, also of finished calculations.
        last_lines: of the traceback of a failed calculation, if the error is not an error of nnpmm.
        details: file with this traceback, or None.
    """

    name: str
    state: State
    seconds: float | None = None
    reasons: tuple[str, ...] = ()
    last_lines: tuple[str, ...] = ()
    details: Path | None = None


def listed(row: ListRow, settings: BaseModel) -> Listed:
    """Return the calculation of a row.

    Args:
        row: of a list.
        settings: that follow from it.

    Raises:
        InputFileError: a file that the settings name cannot be read.
    """
    try:
        inputs = _without(settings.model_dump(), (*_OF_JOB, *_FREE))
        digest = Job("row", _no_output, {"settings": inputs}).key
    except InputFileError as error:
        raise InputFileError(f"{row.place}: {error}") from error
    dumped = _without(settings.model_dump(mode="json"), _OF_JOB)
    return Listed(row.name, row.values, dumped, digest)


def _without(data: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return nested settings without some, which are dotted keys."""
    for key in keys:
        *sections, last = key.split(".")
        section: Any = data
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section.pop(last, None)
    return data


def _no_output() -> Output:
    """Return nothing: the function of jobs that are only looked up in the store."""
    return Output({})


def listed_store(folder: Path) -> Store:
    """Return the store for results of a list; its files have the names of the calculations."""
    return Store(folder.absolute() / _RESULTS, by_name)


def run_listed(
    calculations: Sequence[Listed],
    command: str,
    function: Callable[..., Output],
    folder: Path,
    *,
    cluster: ClusterSettings | None = None,
    retry_failed: bool = False,
    report: ReportCallback | None = None,
    checked: Callable[[], None] = lambda: None,
) -> CampaignResult:
    """Run the calculations of a list that have no result yet.

    Args:
        calculations: of the list.
        command: that they run.
        function: of their jobs; it is called with ``command`` and ``settings``.
        folder: of the campaign, created if necessary.
        cluster: where jobs run.
        retry_failed: repeat failed calculations.
        report: called with every job that ends.
        checked: called before the first job, after the check of the settings against the folder.

    Raises:
        ConfigError: another campaign works in this folder, it belongs to another command, or a
            calculation was started there with other settings.
        NnpmmError: see `nnpmm.campaigns.run_campaign`.
    """
    require_folder(folder)
    store = listed_store(folder)
    jobs = [
        Job(
            one.name,
            function,
            {"command": command, "settings": dict(one.settings)},
            folder=_folder_of(folder, one.name),
        )
        for one in calculations
    ]
    with store.locked():
        _claim(calculations, jobs, command, folder, store)
        checked()
        return run_campaign(
            jobs, store, cluster=cluster, retry_failed=retry_failed, report=report, locked=True
        )


def read_listed(folder: Path) -> tuple[str, list[Listed]]:
    """Return the command of a campaign and its calculations.

    Raises:
        InputFileError: the folder holds no campaign, or its record cannot be read.
    """
    data = _read(folder)
    if data is None:
        raise InputFileError(
            f"{folder}: found no campaign in this folder, expected one that nnpmm campaign run made"
        )
    try:
        return str(data["command"]), [_from_record(n, data["rows"][n]) for n in data["listed"]]
    except (LookupError, TypeError) as error:
        raise _damaged(folder, error) from error


def states_of(folder: Path) -> list[JobState]:
    """Return the progress of each calculation of a campaign.

    Raises:
        InputFileError: the folder holds no campaign, or a file in it is damaged.
    """
    store = listed_store(folder)
    return [_state(Job(one.name, _no_output), store) for one in read_listed(folder)[1]]


def _state(job: Job, store: Store) -> JobState:
    if store.is_done(job):
        record = store.record(job)
        return JobState(job.name, "finished", record["seconds"], tuple(record["attempts"]))
    if store.is_running(job):
        return JobState(job.name, "running")
    if store.is_given_up(job):
        path = failure_path(store.folder, store.address(job))
        return JobState(job.name, "failed", None, store.reasons(job), _last_lines(path), path)
    return JobState(job.name, "waiting")


def _last_lines(path: Path) -> tuple[str, ...]:
    """Return the last lines of the traceback of an unexpected error; none of an nnpmm error."""
    lines = json.loads(path.read_text(encoding="utf-8"))["traceback"].splitlines()
    expected = not lines or lines[-1].startswith(NnpmmError.__module__)
    return () if expected else tuple(lines[-_LAST_LINES:])


def _claim(
    calculations: Sequence[Listed], jobs: Sequence[Job], command: str, folder: Path, store: Store
) -> None:
    """Record the calculations, unless settings differ from those of started ones."""
    before = _read(folder) or {"command": command, "rows": {}}
    if before["command"] != command:
        raise ConfigError(
            f"{folder}: contains a campaign of {before['command']!r}, found {command!r}; choose "
            "another folder"
        )
    rows: dict[str, Any] = dict(before["rows"])
    for one, job in zip(calculations, jobs, strict=True):
        known = rows.get(one.name)
        if known is None or known["digest"] == one.digest:
            continue
        work = _folder_of(folder, one.name)
        if store.is_given_up(job):  # corrected settings: remove the failed attempt
            shutil.rmtree(work, ignore_errors=True)
            store.forget_failure(job)
        elif store.is_done(job) or work.exists():
            raise ConfigError(
                f"{folder}: {one.name} was started with "
                f"{_change(known['settings'], one.settings)}; rename the row, or choose another "
                "folder"
            )
    for one in calculations:
        rows[one.name] = {"values": one.values, "settings": one.settings, "digest": one.digest}
    names = [one.name for one in calculations]
    record = {"version": _VERSION, "command": command, "listed": names, "rows": rows}
    write_atomically(folder / _RECORD, json.dumps(record, indent=1, default=str) + "\n")


def _change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return a text about the first difference between two settings or the files that they name."""
    old, new = dict(flattened(dict(before))), dict(flattened(dict(now)))
    for key in [*new, *old]:
        if key not in _FREE and old.get(key) != new.get(key):
            return f"{key} {old.get(key, 'not set')}, found {new.get(key, 'not set')}"
    return "other content of a file that its settings name"


def _folder_of(folder: Path, name: str) -> Path:
    return folder.absolute() / _JOBS / name


def _from_record(name: str, data: Mapping[str, Any]) -> Listed:
    return Listed(name, data["values"], data["settings"], data["digest"])


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / _RECORD
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> InputFileError:
    return InputFileError(f"{folder / _RECORD}: cannot be read ({shortened(error)}); restore it")

"""Live progress of a run: a bar in a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from nnpmm.streams import quiet

__all__ = ["ProgressDisplay", "Status", "progress_display"]

_SECONDS_BETWEEN_LINES = 5.0
_WIDE = 110  # columns of a terminal that has room for bars


@dataclass(frozen=True)
class Status:
    """Where a run stands.

    Attributes:
        stage: name of the stage.
        done: part of the stage that is done, in ``unit``.
        total: length of the stage, in ``unit``.
        unit: ps, or steps of the minimiser.
        ns_per_day: speed, if dynamics run.
        remaining_s: seconds to the end of the run, if known.
        temperature: last logged temperature in K.
        nnp_energy: last logged energy of the network in kJ/mol.
        nnp_deviation: last logged spread of its members in kJ/mol.
    """

    stage: str
    done: float
    total: float
    unit: str = "ps"
    ns_per_day: float | None = None
    remaining_s: float | None = None
    temperature: float | None = None
    nnp_energy: float | None = None
    nnp_deviation: float | None = None

    def details(self) -> str:
        """Return speed, remaining time and the last readings in one line."""
        parts = []
        if self.ns_per_day is not None:
            parts.append(f"{self.ns_per_day:.3g} ns/day")
        if self.remaining_s is not None:
            parts.append(f"{_clock(self.remaining_s)} left")
        if self.temperature is not None:
            parts.append(f"{self.temperature:.0f} K")
        if self.nnp_energy is not None:
            spread = "" if self.nnp_deviation is None else f"±{self.nnp_deviation:.1f}"
            parts.append(f"NNP {self.nnp_energy:.1f}{spread} kJ/mol")
        return " ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    lead = f"{days} d " if days else ""
    return f"{lead}{hours}:{minutes:02d}:{rest:02d}"


class ProgressDisplay(Protocol):
    """Shows where a run stands."""

    def update(self, status: Status) -> None:
        """Show a status; called at least once a second or so."""


class _Silent:
    def update(self, status: Status) -> None:
        pass


class _Lines:
    """A plain line every few seconds, and at the end of every stage."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._last_time = -float("inf")
        self._last: tuple[str, float] | None = None

    def update(self, status: Status) -> None:
        now = time.monotonic()
        finished = status.done >= status.total
        changed = self._last is None or self._last[0] != status.stage
        if not (finished or changed or now - self._last_time > _SECONDS_BETWEEN_LINES):
            return
        if self._last == (status.stage, status.done):
            return
        self._last, self._last_time = (status.stage, status.done), now
        done = f"{status.done:.6g} / {status.total:.6g} {status.unit}"
        self._stream.write(f"{status.stage:<12} {done:<24} {status.details()}".rstrip() + "\n")
        self._stream.flush()


class _Bars:
    """One live bar for each stage."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def update(self, status: Status) -> None:
        text = f"{status.done:.6g} / {status.total:.6g} {status.unit}"
        if status.stage not in self._tasks:
            for task in self._tasks.values():
                self._progress.stop_task(task)
                self._progress.update(task, details="")
            self._tasks[status.stage] = self._progress.add_task(
                status.stage, total=status.total, amount=text, details=""
            )
        self._progress.update(
            self._tasks[status.stage],
            completed=status.done,
            amount=text,
            details=status.details(),
        )


def _columns(width: int) -> list[ProgressColumn]:
    """Return the columns; of a narrow terminal the readings get all the room there is."""

    def fixed(least: int) -> Column:
        return Column(no_wrap=True, min_width=least)

    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", table_column=fixed(11)),
        TextColumn("{task.fields[amount]}", table_column=fixed(14)),
        TextColumn("{task.fields[details]}", table_column=Column(no_wrap=True)),
    ]
    if width >= _WIDE:
        columns.insert(1, BarColumn(bar_width=16))
        columns.insert(3, TimeElapsedColumn(table_column=fixed(7)))
    return columns


@contextmanager
def progress_display(show: bool, stream: TextIO | None = None) -> Iterator[ProgressDisplay]:
    """Yield a display on stderr, or on another stream, that is closed in the end.

    Args:
        show: False for none at all.
        stream: where to; ``sys.stderr`` if None.
    """
    target = quiet(sys.stderr if stream is None else stream)
    if not show:
        yield _Silent()
    elif not target.isatty():
        yield _Lines(target)
    else:
        console = Console(file=target)
        with Progress(*_columns(console.width), console=console, refresh_per_second=4) as progress:
            yield _Bars(progress)

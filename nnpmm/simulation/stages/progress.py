"""Live progress of a run: a bar in a terminal, a few lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from nnpmm.core.streams import quiet

__all__ = ["ProgressDisplay", "Status", "clock", "progress_display"]

_TENTHS = 10  # lines of a stage where there is no terminal
_SECONDS_BETWEEN_LINES = 10.0  # at least
_SECONDS_OF_SILENCE = 3600.0  # at most, between two updates of a long stage


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

    def amount(self) -> str:
        """Return the finished and the total amount, long times in ns."""
        if self.unit == "ps" and self.total >= 1000:
            return f"{self.done / 1000:.4g} / {self.total / 1000:.6g} ns"
        return f"{self.done:.5g} / {self.total:.6g} {self.unit}"

    def pace(self) -> str:
        """Return speed and remaining time."""
        parts = []
        if self.ns_per_day is not None:
            parts.append(f"{self.ns_per_day:.3g} ns/day")
        if self.remaining_s is not None:
            parts.append(f"{clock(self.remaining_s)} left")
        return ", ".join(parts)

    def readings(self) -> str:
        """Return the last logged quantities, each with its name and unit."""
        parts = []
        if self.temperature is not None:
            parts.append(f"{self.temperature:.0f} K")
        if self.nnp_energy is not None:
            parts.append(f"network energy of the region {self.nnp_energy:.1f} kJ/mol")
        if self.nnp_deviation is not None:
            parts.append(f"spread of members {self.nnp_deviation:.1f} kJ/mol")
        return ", ".join(parts)


def clock(seconds: float) -> str:
    """Return a time in days, hours, minutes and seconds."""
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
    """A plain line at the beginning, at every tenth and at the end of a stage."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._stage: str | None = None
        self._tenth = 0
        self._shown: float | None = None
        self._time = -float("inf")

    def update(self, status: Status) -> None:
        now = time.monotonic()
        tenth = int(_TENTHS * status.done / status.total + 1e-9)
        changed, finished = status.stage != self._stage, status.done >= status.total
        since = now - self._time
        reached = not changed and tenth > self._tenth and since >= _SECONDS_BETWEEN_LINES
        if not (changed or finished or reached or since >= _SECONDS_OF_SILENCE):
            return
        if not changed and status.done == self._shown:
            return
        self._stage, self._tenth, self._time, self._shown = status.stage, tenth, now, status.done
        parts = (part for part in (status.pace(), status.readings()) if part)
        line = f"{status.stage:<11} {status.amount():<18} {', '.join(parts)}"
        self._stream.write(line.rstrip() + "\n")
        self._stream.flush()


class _StageBars(Progress):
    """Bars of the stages, and below them the last readings."""

    readings = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return what is shown, from top to bottom."""
        yield from super().get_renderables()
        if self.readings:
            yield Text(self.readings, no_wrap=True, overflow="ellipsis")


class _Bars:
    """One live bar for each stage."""

    def __init__(self, progress: _StageBars):
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def update(self, status: Status) -> None:
        text = status.amount()
        if status.stage not in self._tasks:
            for task in self._tasks.values():
                self._progress.stop_task(task)
                self._progress.update(task, pace="")
            self._tasks[status.stage] = self._progress.add_task(
                status.stage, total=status.total, amount=text, pace=""
            )
        self._progress.readings = status.readings()
        self._progress.update(
            self._tasks[status.stage], completed=status.done, amount=text, pace=status.pace()
        )


def _bars(console: Console) -> _StageBars:
    """Return the display: name, bar, amount and pace, which fit into 80 columns."""
    # The other columns take 11 + 17 + 29 characters, with a space before each but the first.
    width = min(40, max(8, console.width - 61))
    return _StageBars(
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=11)),
        BarColumn(bar_width=width),
        TextColumn("{task.fields[amount]}", table_column=Column(no_wrap=True, min_width=14)),
        TextColumn("{task.fields[pace]}", table_column=Column(no_wrap=True)),
        console=console,
        refresh_per_second=4,
        redirect_stdout=sys.stdout.isatty(),  # a file must contain the final state as well
    )


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
        with _bars(Console(file=target)) as progress:
            yield _Bars(progress)

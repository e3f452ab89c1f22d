"""Progress: bars on stderr, which disappear when the work is done, and permanent lines.

In a file, such as the log of a batch job, a line every ten minutes takes the place of the bar.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

if TYPE_CHECKING:
    from nnpmm.campaigns import JobReport, ProgressCallback, ReportCallback

__all__ = ["campaign_bar", "count_bar", "print_report", "stage_bar"]

#: Time between two lines in a file, s.
LOG_INTERVAL = 600.0


def _bars() -> Progress:
    """Return a display that prints nothing if stderr is no terminal."""
    console = Console(stderr=True)
    return Progress(
        console=console,
        transient=True,
        disable=not console.file.isatty(),  # with FORCE_COLOR rich treats files as terminals
        redirect_stdout=sys.stdout.isatty(),  # output to a file must not go to the terminal
    )


class _Log:
    """Writes to stderr, at most once per ``LOG_INTERVAL``, how far the work is.

    Args:
        silent: write nothing, because a bar shows it.
    """

    def __init__(self, silent: bool) -> None:
        self._silent = silent
        self._last = time.monotonic()

    def __call__(self, words: str, done: float, total: float) -> None:
        if self._silent or time.monotonic() - self._last < LOG_INTERVAL:
            return
        self._last = time.monotonic()
        typer.echo(f"{_clock()} {words}: {done / total:.0%}", err=True)


@contextmanager
def count_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of the number of things done and their total."""
    with _bars() as progress:
        task = progress.add_task(label, total=None)
        log = _Log(silent=not progress.disable)

        def tell(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)
            log(label, done, total)

        yield tell


@contextmanager
def campaign_bar(label: str) -> Iterator[tuple[ReportCallback, ProgressCallback]]:
    """Show the progress of the jobs of a campaign and of its bilayers.

    Yields:
        Two callbacks, as for ``build_dataset``. The first prints a line for every finished job and
        moves the bar of all jobs. The second announces the relaxation of a bilayer and moves its
        bar.
    """
    with _bars() as progress:
        jobs = progress.add_task(label, total=None)
        bilayers: dict[str, TaskID] = {}

        def report(job: JobReport, done: int, total: int) -> None:
            print_report(job, done, total)
            progress.update(jobs, completed=done, total=total)

        def relaxation(lipid: str, stage: str, done: float, length: float) -> None:
            if lipid not in bilayers:
                typer.echo(f"{_clock()} relaxing a bilayer of {lipid}, which is kept for later")
                bilayers[lipid] = progress.add_task("")
            description = f"bilayer of {lipid}, {stage}"
            progress.update(
                bilayers[lipid],
                description=description,
                completed=done,
                total=length,
                visible=done < length,
            )

        yield report, relaxation


@contextmanager
def stage_bar(label: str) -> Iterator[Callable[[str, float, float], None]]:
    """Yield a function of the name of a stage, how much of it is done, and its length."""
    with _bars() as progress:
        tasks: dict[str, TaskID] = {}
        log = _Log(silent=not progress.disable)

        def show(stage: str, done: float, length: float) -> None:
            if stage not in tasks:
                for task in tasks.values():
                    progress.update(task, visible=False)
                tasks[stage] = progress.add_task(f"{label}, {stage}", total=length)
            progress.update(tasks[stage], completed=done, total=length, visible=True)
            log(f"{label}, {stage}", done, length)

        yield show


def print_report(report: JobReport, n: int, total: int) -> None:
    """Print how a job of a campaign ended, the n-th of all."""
    state = "done" if report.done else "FAILED"
    reasons = "".join(f"; {reason}" for reason in report.reasons)
    typer.echo(f"{_clock()} [{n}/{total}] {report.name} {state} {report.seconds:.0f} s{reasons}")


def _clock() -> str:
    return datetime.now().strftime("%H:%M:%S")

"""Progress: bars on stderr, which disappear when the work is done, and permanent lines."""

from __future__ import annotations

import sys
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


def _bars() -> Progress:
    """Return a display that stays silent where stderr is no terminal."""
    console = Console(stderr=True)
    return Progress(
        console=console,
        transient=True,
        disable=not console.file.isatty(),  # FORCE_COLOR makes rich take a file for a terminal
        redirect_stdout=sys.stdout.isatty(),  # what goes to a file is to stay there
    )


@contextmanager
def count_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes how many of how many things are done."""
    with _bars() as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def campaign_bar(label: str) -> Iterator[tuple[ReportCallback, ProgressCallback]]:
    """Show the jobs of a campaign, and above them the progress of its bilayers.

    Yields:
        Two functions for ``build_dataset``: what prints a line for every job that ended and moves
        the bar of all jobs, and what says that a bilayer is relaxed and moves its bar.
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
            words = f"bilayer of {lipid}, {stage}"
            progress.update(
                bilayers[lipid],
                description=words,
                completed=done,
                total=length,
                visible=done < length,
            )

        yield report, relaxation


@contextmanager
def stage_bar(label: str) -> Iterator[Callable[[str, float, float], None]]:
    """Yield a function that takes the name of a stage, how much of it is done, and its length."""
    with _bars() as progress:
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: float, length: float) -> None:
            if stage not in tasks:
                for task in tasks.values():
                    progress.update(task, visible=False)
                tasks[stage] = progress.add_task(f"{label}, {stage}", total=length)
            progress.update(tasks[stage], completed=done, total=length, visible=True)

        yield tell


def print_report(report: JobReport, n: int, total: int) -> None:
    """Print how a job of a campaign ended, the n-th of all."""
    state = "done" if report.done else "FAILED"
    reasons = "".join(f"; {reason}" for reason in report.reasons)
    typer.echo(f"{_clock()} [{n}/{total}] {report.name} {state} {report.seconds:.0f} s{reasons}")


def _clock() -> str:
    return datetime.now().strftime("%H:%M:%S")

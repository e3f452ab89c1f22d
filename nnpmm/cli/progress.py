"""Progress bars on stderr, which vanish when their work is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TaskID

__all__ = ["count_bar", "stage_bar"]


def _bars() -> Progress:
    """Return a display that stays silent where stderr is no terminal."""
    console = Console(stderr=True)
    return Progress(
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # what goes to a file is to stay there
    )


@contextmanager
def count_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes how many of how many things are done."""
    with _bars() as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


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

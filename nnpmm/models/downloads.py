"""Downloads of network weights, by pooch."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TimeRemainingColumn

__all__ = ["download", "offline"]

_TIMEOUT_SECONDS = 20
_CHUNK = 1 << 18  # bytes


def download(url: str, path: Path, label: str) -> None:
    """Download a file, with a progress bar on stderr. The caller checks the content.

    Args:
        url: http or https.
        path: where to write the file, which may be left incomplete.
        label: of the progress bar.

    Raises:
        OSError: the server cannot be reached, refuses, or ends the transfer before its end.
    """
    import pooch  # with requests, which few uses of a model need

    columns = (
        "[progress.description]{task.description}",
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:
        bar = _Bar(shown, shown.add_task(label, total=None))
        fetch = pooch.HTTPDownloader(progressbar=bar, chunk_size=_CHUNK, timeout=_TIMEOUT_SECONDS)
        try:
            fetch(url, str(path), None)
        except OSError as error:
            raise OSError(_reason(error)) from error


def offline() -> bool:
    """Return whether ``NNPMM_OFFLINE`` forbids downloads."""
    return os.environ.get("NNPMM_OFFLINE", "") not in ("", "0")


def _reason(error: OSError) -> str:
    """Return the cause of a failed download, which requests wraps in other exceptions."""
    cause = error.args[0] if error.args else None
    return str(getattr(cause, "reason", error))


class _Bar:
    """A progress bar as pooch calls it."""

    def __init__(self, shown: Progress, task: TaskID) -> None:
        self._shown, self._task = shown, task

    @property
    def total(self) -> float | None:
        return self._shown.tasks[self._task].total

    @total.setter
    def total(self, size: int) -> None:  # 0 if the server does not say
        self._shown.update(self._task, total=size or None)

    def update(self, size: int) -> None:
        self._shown.advance(self._task, size)

    def reset(self) -> None:
        self._shown.reset(self._task)

    def close(self) -> None:
        self._shown.refresh()

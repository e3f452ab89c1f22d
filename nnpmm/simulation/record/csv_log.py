"""A CSV file that a run appends to, and continues after a stop."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from nnpmm.core.files import create
from nnpmm.simulation.record.files import writing

__all__ = ["CsvLog"]


class CsvLog:
    """Appends rows to a CSV file and flushes each to the operating system.

    Args:
        path: of the file.
        names: of the columns, the first row of a new file.
        append: continue the existing file.

    Raises:
        SimulationError: the file cannot be written.
    """

    def __init__(self, path: Path, names: Iterable[str], *, append: bool) -> None:
        self.path = path
        with writing(path):
            self._handle: IO[bytes] = open(path, "ab") if append else create(path)
        if not append:
            self.write(names)

    def write(self, row: Iterable[object]) -> None:
        """Append a row.

        Raises:
            SimulationError: the file cannot be written.
        """
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        with writing(self.path):
            self._handle.write(line.getvalue().encode("utf-8"))
            self._handle.flush()

    def close(self) -> None:
        """Close the file; errors of writing have been reported before."""
        with suppress(OSError):
            self._handle.close()

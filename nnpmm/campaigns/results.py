"""The results of the calculations of a list as one table: CSV and Parquet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnpmm.campaigns.jobs import Job, Output
from nnpmm.campaigns.listed import listed_store, read_listed, states_of
from nnpmm.core.errors import OptionalDependencyError
from nnpmm.core.files import replacing, write_atomically, writing

__all__ = ["Quantity", "ResultTable", "collect_results", "output_of", "write_csv", "write_parquet"]

_VALUES = "values"


@dataclass(frozen=True)
class Quantity:
    """A numerical result of a calculation.

    Attributes:
        name: of the quantity.
        value: in ``unit``.
        error: its standard error; None if it has none or it is not known.
        unit: "" for a count.
    """

    name: str
    value: float
    error: float | None = None
    unit: str = ""

    def cells(self) -> dict[str, float]:
        """Return its columns with their values; values that are not finite are left out."""
        unit = f" ({self.unit})" if self.unit else ""
        found = {f"{self.name}{unit}": self.value, f"{self.name} error{unit}": self.error}
        return {
            key: float(value)
            for key, value in found.items()
            if value is not None and math.isfinite(value)
        }


@dataclass(frozen=True)
class ResultTable:
    """Results of a campaign.

    Attributes:
        columns: name, state, the settings in the rows of the list, quantities with their errors,
            and information about the calculation.
        rows: cells by column, text or float; unknown ones are left out.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str | float], ...]


def output_of(quantities: Sequence[Quantity]) -> Output:
    """Return quantities as the output of a job, for `collect_results`."""
    cells: dict[str, float] = {}
    for quantity in quantities:
        cells |= quantity.cells()
    return Output({}, {_VALUES: list(cells.items())})  # records do not keep the order of keys


def collect_results(folder: Path) -> ResultTable:
    """Return the results of a campaign so far, with a row for each calculation of its list.

    Raises:
        InputFileError: the folder holds no campaign, or a result is damaged.
    """
    store, rows = listed_store(folder), []
    given, found = dict[str, None](), dict[str, None]()
    for one, state in zip(read_listed(folder)[1], states_of(folder), strict=True):
        own: dict[str, str | float] = {"name": one.name, "state": state.state}
        own |= {key: _text(value) for key, value in one.values.items()}
        given |= dict.fromkeys(one.values)
        if state.seconds is not None:
            values = dict(store.record(Job(one.name, output_of))[_VALUES])
            found |= dict.fromkeys(values)
            own |= values | {"seconds": state.seconds}
        if state.state in ("finished", "failed"):
            own["attempts"] = float(len(state.reasons) + (state.state == "finished"))
        if state.state == "failed":
            own["failure"] = state.reasons[-1]
        rows.append(own)
    columns = ("name", "state", *given, *found, "seconds", "attempts", "failure")
    return ResultTable(tuple(dict.fromkeys(columns)), tuple(rows))


def write_csv(table: ResultTable, path: Path) -> None:
    """Write a table as CSV.

    Raises:
        UnwritableError: the file cannot be written.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        cells = (row.get(column, "") for column in table.columns)
        writer.writerow([f"{c:.10g}" if isinstance(c, float) else c for c in cells])
    write_atomically(path, buffer.getvalue())


def write_parquet(table: ResultTable, path: Path) -> None:
    """Write a table as Parquet, in which numbers are numbers.

    Raises:
        OptionalDependencyError: pyarrow is not installed.
        UnwritableError: the file cannot be written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise OptionalDependencyError(
            "pyarrow, which writes Parquet, is not installed: pip install pyarrow"
        ) from error
    columns = {name: [row.get(name) for row in table.rows] for name in table.columns}
    with writing(path), replacing(path) as handle:
        parquet.write_table(pyarrow.table(columns), handle)


def _text(value: Any) -> str:
    return "" if value is None else str(value)

"""CSV files written by users, file names for molecules, and excerpts for messages."""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from nnpmm.core.errors import InputFileError

__all__ = ["Row", "Table", "excerpt", "file_name", "read_table"]

_LONGEST = 60  # characters
_LONGEST_NAME = 160  # bytes; file systems allow 255, which leaves room for suffixes


class Row(NamedTuple):
    """A line of a table: its number in the file, and its cells, stripped, by column."""

    line: int
    cells: dict[str, str]


class Table(NamedTuple):
    """The columns of a table in their order, and the lines that are not empty."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """Read a CSV file whose first line names the columns.

    Blanks around names and cells, a byte order mark, empty lines and lines that begin with ``#``
    are skipped.

    Raises:
        InputFileError: the file cannot be read, names a column twice, or a line has more or fewer
            cells than there are columns.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except UnicodeDecodeError:
        raise InputFileError(f"{path}: is not UTF-8 text; save the table as CSV in UTF-8") from None
    except OSError as error:
        raise InputFileError(f"{path}: cannot be read ({error.strerror or error})") from error
    except csv.Error as error:
        raise InputFileError(f"{path}: is not a CSV file: {error}") from error
    filled = [(n, cells) for n, cells in lines if any(cells) and not cells[0].startswith("#")]
    if not filled:
        return Table((), ())
    columns = tuple(filled[0][1])
    if len(set(columns)) < len(columns):
        raise InputFileError(f"{path}: found a column twice in {', '.join(columns)}; remove one")
    for number, cells in filled[1:]:
        if len(cells) != len(columns):
            raise InputFileError(
                f"{path}, line {number}: found {len(cells)} cells, expected {len(columns)}, one "
                "for each column, separated by commas"
            )
    rows = (Row(number, dict(zip(columns, cells, strict=True))) for number, cells in filled[1:])
    return Table(columns, tuple(rows))


def excerpt(text: str) -> str:
    """Return a text for a message: the beginning, if it is long."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def file_name(name: str) -> str:
    """Return a valid file name for a name; a long name ends in a digest."""
    plain = re.sub(r"[^\w.+=-]+", "_", name).lstrip(".-") or "molecule"
    if len(plain.encode()) <= _LONGEST_NAME:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: _LONGEST_NAME // 4]}-{digest}"  # a character has at most 4 bytes

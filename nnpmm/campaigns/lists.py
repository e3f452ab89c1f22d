"""Lists of calculations: a command, settings that all of them share, and a row for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.core.section import Section
from nnpmm.core.settings.merging import merged, nested
from nnpmm.core.settings.reading import parse_settings
from nnpmm.core.settings.yaml_file import read_yaml
from nnpmm.core.tables import excerpt, file_name, read_table

__all__ = ["CalculationList", "ListRow", "read_list"]

_NAME = "name"


@dataclass(frozen=True)
class ListRow:
    """A row of a list.

    Attributes:
        name: of the calculation and its folder.
        place: where the row is, for messages.
        values: of settings by their dotted keys.
    """

    name: str
    place: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class CalculationList:
    """The content of a list.

    Attributes:
        command: that all rows run, such as ``solvation``.
        template: settings that they share.
        base: folder at which relative paths in settings start.
        rows: one for each calculation.
    """

    command: str
    template: Mapping[str, Any]
    base: Path
    rows: tuple[ListRow, ...]

    def settings_of(self, row: ListRow) -> dict[str, Any]:
        """Return the nested settings of a row.

        Raises:
            ConfigError: keys of the row contradict each other.
        """
        try:
            return merged(self.template, nested(row.values))
        except ConfigError as error:
            raise ConfigError(f"{row.place}: {error}") from None


class _File(Section):
    """A list as a YAML file."""

    command: str | None = Field(None, description="command, such as run or solvation")
    settings: dict[str, Any] | str = Field(
        {}, description="settings that all calculations share, or a file with them"
    )
    rows: list[dict[str, Any]] | str = Field(
        description="rows, one for each calculation, or a CSV file"
    )


def read_list(
    path: Path, *, command: str | None = None, settings: Path | None = None
) -> CalculationList:
    """Read a list of calculations.

    A CSV file has a column for each dotted key of the settings, such as ``ensemble.temperature``,
    and a calculation in each line below. Cells are text, and settings interpret numbers as numbers;
    ``[a, b]`` is a list, ``{a: 1}`` a section, ``null`` nothing, and an empty cell keeps the shared
    setting. A YAML file has ``command``, ``settings`` (or the name of their file) and ``rows`` (or
    the name of a CSV file). A column ``name`` names the calculations; without it, the names are
    made from the values.

    Relative paths in settings start at the folder of the shared settings' file or, without such a
    file, at the folder of the list.

    Args:
        path: of the list.
        command: that runs; a YAML file may name it itself.
        settings: file of the shared settings, if the list does not contain them.

    Raises:
        InputFileError: a file cannot be read, or a line of it cannot be used.
        ConfigError: the command is missing, settings are given twice, or two rows have one name.
    """
    base = path.absolute().parent
    found = _File(rows=path.name)
    if path.suffix.lower() in (".yaml", ".yml"):
        found = parse_settings(_File, read_yaml(path), source=path.name, base=base)
    if command is not None and found.command not in (None, command):
        raise ConfigError(
            f"{path.name}: found the command {found.command!r} in the file and {command!r} as an "
            "argument; give one of them"
        )
    chosen = command or found.command
    if chosen is None:
        raise ConfigError(
            f"{path.name}: found no command, expected one command, such as run or solvation"
        )
    if settings is not None and found.settings:
        raise ConfigError(
            f"{path.name}: found settings in the file and in {settings}; give one of them"
        )
    rows = _named(_rows_of(found, path))
    if isinstance(found.settings, str):
        settings = base / found.settings
    elif settings is None:
        return CalculationList(chosen, found.settings, base, rows)
    shared, start = _read_shared(settings), settings.absolute().parent
    return CalculationList(chosen, shared, start, rows)


def _read_shared(path: Path) -> dict[str, Any]:
    found = read_yaml(path)
    if not isinstance(found, dict):
        raise ConfigError(f"{path.name}: found no settings, expected keys and values")
    return found


def _rows_of(found: _File, path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the cells of each row, with its place for messages."""
    if isinstance(found.rows, str):
        path = path.absolute().parent / found.rows
        rows = [
            (
                f"{path.name}, line {row.line}",
                {key: _cell(text, path, row.line) for key, text in row.cells.items() if text},
            )
            for row in read_table(path).rows
        ]
    else:
        rows = [(f"{path.name}, row {n}", row) for n, row in enumerate(found.rows, 1)]
    if not rows:
        raise InputFileError(f"{path}: found no rows, expected one for each calculation")
    return rows


def _cell(text: str, path: Path, line: int) -> Any:
    """Return the value of a cell. SMILES may also begin with a bracket, but contain no comma."""
    is_list = text.startswith("[") and "," in text
    if not (is_list or text.startswith("{") or text == "null"):
        return text
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InputFileError(
            f"{path.name}, line {line}: found {excerpt(text)!r}, which is neither a list nor a "
            "section"
        ) from None


def _named(values: Sequence[tuple[str, dict[str, Any]]]) -> tuple[ListRow, ...]:
    rows: dict[str, ListRow] = {}
    for place, cells in values:
        own = {str(key): value for key, value in cells.items() if key != _NAME}
        given = cells.get(_NAME)
        if given is None and not own:
            raise InputFileError(f"{place}: found no values, expected some of settings, or a name")
        name = file_name(_name_of(own) if given is None else str(given))
        if name in rows:
            raise ConfigError(
                f"{place}: found the name {excerpt(name)!r} again, which {rows[name].place} has; "
                f"give each row its own name in the column {_NAME!r}"
            )
        rows[name] = ListRow(name, place, own)
    return tuple(rows.values())


def _name_of(values: Mapping[str, Any]) -> str:
    """Return a name for a row: the last part of each key with its value."""
    return "_".join(f"{key.split('.')[-1]}={value}" for key, value in values.items())

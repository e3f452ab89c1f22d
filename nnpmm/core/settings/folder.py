"""The settings of a calculation, stored as JSON in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from nnpmm.core.errors import ConfigError, InputFileError, shortened
from nnpmm.core.files import write_atomically
from nnpmm.core.settings.reading import parse_settings

__all__ = ["read_stored_settings", "store_settings"]

Settings = TypeVar("Settings", bound=BaseModel)


def read_stored_settings(model: type[Settings], path: Path) -> Settings:
    """Read the settings that `store_settings` wrote.

    Args:
        model: the settings class.
        path: of the file; paths in it are relative to its folder.

    Raises:
        InputFileError: the file cannot be read.
        ConfigError: the settings are those of another kind of calculation, or one is wrong.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputFileError(
            f"{path}: cannot be read ({shortened(error)}); choose another folder"
        ) from error
    foreign = sorted(set(data) - set(model.model_fields)) if isinstance(data, dict) else []
    if foreign:
        raise ConfigError(
            f"{path}: belongs to another kind of calculation (found the setting {foreign[0]!r}); "
            "choose another folder"
        )
    return parse_settings(model, data, source=str(path), base=path.parent)


def store_settings(settings: BaseModel, path: Path, fixed: Sequence[str]) -> None:
    """Write the settings of a calculation, unless its folder was started with others.

    Args:
        settings: to be written.
        path: of the file.
        fixed: names of the settings that must stay as they were.

    Raises:
        ConfigError: one of them differs.
        InputFileError: the existing settings cannot be read.
        UnwritableError: the file cannot be written.
    """
    if path.exists():
        stored = read_stored_settings(type(settings), path)
        for name in fixed:
            old, new = getattr(stored, name), getattr(settings, name)
            if old != new:
                raise ConfigError(
                    f"{path.parent}: was started with {name} {_shown(old)}, found {_shown(new)}; "
                    "choose another folder"
                )
    write_atomically(path, settings.model_dump_json(indent=1) + "\n")


def _shown(value: Any) -> str:
    if not isinstance(value, BaseModel):
        return str(value)
    return ", ".join(f"{k} {v}" for k, v in value.model_dump(exclude_none=True).items())

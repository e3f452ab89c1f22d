"""The folder of a free energy calculation, which belongs to one set of settings."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nnpmm.core.errors import ConfigError, InputFileError, shortened
from nnpmm.core.files import write_atomically
from nnpmm.freeenergy.legs.settings import LegTimes, SamplingSettings

__all__ = [
    "claim_folder",
    "fingerprint",
    "keep_parameters",
    "leg_directory",
]

_SETTINGS = "settings.json"
_PARAMETERS = ".parameters.json"
# Settings that may change when a calculation is resumed, in addition to the time of each ladder.
_MAY_CHANGE = {"potentials", "repeats", "platform", "threads"}
# Settings of a ladder that do not affect what one sample is.
_NOT_OF_SAMPLES = {"time", "exchange"}
# Settings that the record of the sampling checks itself.
_CHECKED_BY_RECORD = {"trajectories", "trajectory_interval"}


def leg_directory(directory: Path, name: str, repeat: int) -> Path:
    """Return the folder of one repeat, counted from 0, of the leg of that name."""
    return directory / name.replace(" ", "-") / f"repeat-{repeat + 1}"


def claim_folder(settings: SamplingSettings, directory: Path, *, resume: bool) -> None:
    """Write the settings to a new folder, or check that those of an old one are the same.

    ``potentials``, ``repeats``, the ladders' ``time``, the platform and its threads may differ. A
    folder that contains nothing but settings counts as new: a calculation that failed at once, as
    for a molecule that is refused, does not block it.

    Args:
        settings: settings of the calculation.
        directory: that exists.
        resume: whether to continue the calculation in it.

    Raises:
        ConfigError: the folder has a calculation and ``resume`` is not set, or its settings differ.
        InputFileError: its settings cannot be read.
    """
    path = directory / _SETTINGS
    if not _is_started(directory):
        write_atomically(path, settings.model_dump_json(indent=1) + "\n")
        return
    if not resume:
        raise ConfigError(
            f"{directory}: already contains a calculation; resume it, or choose another folder"
        )
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}: cannot be read ({shortened(error)})") from error
    with suppress(ValidationError):  # add the defaults of settings that older versions lack
        stored = json.loads(type(settings).model_validate(stored).model_dump_json())
    wanted = json.loads(settings.model_dump_json())
    for name in wanted:
        if name not in _MAY_CHANGE and _fixed(stored.get(name)) != _fixed(wanted[name]):
            which, old, new = _first_change(name, stored.get(name), wanted[name])
            raise ConfigError(
                f"{directory}: was started with {which} {old}, found {new}; use the same, or "
                "another folder"
            )
    write_atomically(path, settings.model_dump_json(indent=1) + "\n")


def keep_parameters(directory: Path, found: str | None) -> None:
    """Record the source of the parameters of built molecules, or check that it is the same.

    The choice of ``auto`` depends on installed packages, which may change before a calculation
    continues.

    Args:
        directory: of the calculation.
        found: description of the source; None where no parameters were calculated.

    Raises:
        ConfigError: the calculation was started with other parameters.
    """
    path = directory / _PARAMETERS
    if found is None:
        return
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):  # new, or of an older version
        write_atomically(path, json.dumps(found) + "\n")
        return
    if stored != found:
        raise ConfigError(
            f"{directory}: was started with the ligand parameters {stored!r}, found {found!r}; "
            "install the program that made them, or choose another folder"
        )


def _is_started(directory: Path) -> bool:
    """Return whether a calculation has written more than its settings and hidden files."""
    return (directory / _SETTINGS).exists() and any(
        not (child.name == _SETTINGS or child.name.startswith(".")) for child in directory.iterdir()
    )


def fingerprint(settings: SamplingSettings, *about: str) -> str:
    """Return a fingerprint of all settings that must not change when a leg is resumed.

    Args:
        settings: settings of the calculation.
        about: further properties of the leg, such as its potential.
    """
    of_ladders = {
        name: _NOT_OF_SAMPLES
        for name in type(settings).model_fields
        if isinstance(getattr(settings, name), LegTimes)
    }
    excluded = dict.fromkeys([*_MAY_CHANGE, *_CHECKED_BY_RECORD], True)
    fixed = settings.model_dump_json(exclude={**excluded, **of_ladders})
    return hashlib.sha256(" ".join([*about, fixed]).encode()).hexdigest()


def _first_change(name: str, old: Any, new: Any) -> tuple[str, Any, Any]:
    """Return the first setting that differs, by its path, with both of its values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for inner in new:
            if _fixed({inner: old.get(inner)}) != _fixed({inner: new[inner]}):
                return _first_change(f"{name}.{inner}", old.get(inner), new[inner])
    return name, old, new


def _fixed(value: Any) -> Any:
    """Return a setting without the length of a ladder's sampling, which may change."""
    if isinstance(value, dict):
        return {name: inner for name, inner in value.items() if name != "time"}
    return value

"""The folder of a free energy calculation, which belongs to one set of settings."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nnpmm.core.errors import ConfigError, InputFileError
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
# What may change when a calculation goes on, and the length of each ladder.
_MAY_CHANGE = {"potentials", "repeats", "platform", "threads"}
# What says how much of a ladder is sampled where, and what the record of its sampling tells itself.
_NOT_SAMPLED = {"time", "exchange"}
_KEPT_ELSEWHERE = {"trajectories", "trajectory_interval"}


def leg_directory(directory: Path, name: str, repeat: int) -> Path:
    """Return the folder of one repeat, counted from 0, of the leg of that name."""
    return directory / name.replace(" ", "-") / f"repeat-{repeat + 1}"


def claim_folder(settings: SamplingSettings, directory: Path, *, resume: bool) -> None:
    """Write the settings to a new folder, or check that those of an old one are the same.

    ``potentials``, ``repeats``, the ladders' ``time``, the platform and its threads may differ. A
    calculation that ended before it wrote anything else, such as one of a molecule that was
    refused, leaves the folder free.

    Args:
        settings: of the calculation.
        directory: that exists.
        resume: whether the calculation in it may go on.

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
        there = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}: cannot be read ({error})") from error
    with suppress(ValidationError):  # of another version: settings that it did not have
        there = json.loads(type(settings).model_validate(there).model_dump_json())
    wanted = json.loads(settings.model_dump_json())
    for name in wanted:
        if name not in _MAY_CHANGE and _fixed(there.get(name)) != _fixed(wanted[name]):
            which, old, new = _first_change(name, there.get(name), wanted[name])
            raise ConfigError(
                f"{directory}: was started with {which} {old}, found {new}; use the same, or "
                "another folder"
            )
    write_atomically(path, settings.model_dump_json(indent=1) + "\n")


def keep_parameters(directory: Path, found: str | None) -> None:
    """Note where the parameters of built molecules come from, or check that it is the same.

    The choice of ``auto`` depends on installed packages, which may change before a calculation
    continues.

    Args:
        directory: of the calculation.
        found: in words; None where nothing was built.

    Raises:
        ConfigError: the calculation was started with other parameters.
    """
    path = directory / _PARAMETERS
    if found is None:
        return
    try:
        there = json.loads(path.read_text())
    except (OSError, ValueError):  # new, or of an older version
        write_atomically(path, json.dumps(found) + "\n")
        return
    if there != found:
        raise ConfigError(
            f"{directory}: was started with the ligand parameters {there!r}, found {found!r}; "
            "install the program that made them, or choose another folder"
        )


def _is_started(directory: Path) -> bool:
    """Whether there is more in the folder than settings and a lock."""
    return (directory / _SETTINGS).exists() and any(
        not (child.name == _SETTINGS or child.name.startswith(".")) for child in directory.iterdir()
    )


def fingerprint(settings: SamplingSettings, *about: str) -> str:
    """Return a fingerprint of everything in the settings that a leg may not change.

    Args:
        settings: of the calculation.
        about: further properties of the leg, such as its potential.
    """
    ladders = {
        name: _NOT_SAMPLED
        for name in type(settings).model_fields
        if isinstance(getattr(settings, name), LegTimes)
    }
    apart = dict.fromkeys([*_MAY_CHANGE, *_KEPT_ELSEWHERE], True)
    fixed = settings.model_dump_json(exclude={**apart, **ladders})
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

"""The folder of a run: whether a run may start or continue there, and with which settings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from nnpmm.core import locks
from nnpmm.core.errors import ConfigError, shortened
from nnpmm.core.settings.merging import flattened

__all__ = [
    "LOCK",
    "check_resume",
    "fixed_settings",
    "locked",
    "read_settings",
    "require_same_settings",
]

#: Name of the file that a process locks while it runs in the folder.
LOCK = "run.lock"
_NOT_SET = "not set"


def check_resume(directory: Path, *, has_run: bool, resume: bool, overwrite: bool) -> bool:
    """Return whether there is a run to continue; change nothing.

    Args:
        directory: of the run; need not exist.
        has_run: whether the folder already contains a run.
        resume: continue it.
        overwrite: replace it.

    Raises:
        ConfigError: the folder is a file; it has a run, and neither ``resume`` nor ``overwrite`` is
            set; or both are set.
    """
    if resume and overwrite:
        raise ConfigError("found both resume and overwrite: give one of them")
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"output.directory: {directory} is a file: choose another name")
    if has_run and not (resume or overwrite):
        raise ConfigError(
            f"output.directory: {directory} already contains a run: continue it (resume=True), "
            "replace it (overwrite=True), or choose another folder"
        )
    return has_run and resume


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings of a run as plain data.

    Args:
        path: YAML file that the run has written.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {shortened(error)}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: contains no settings")
    return found


def require_same_settings(path: Path, settings: dict[str, Any], may_change: Sequence[str]) -> None:
    """Check that a run may be continued with these settings.

    Args:
        path: YAML file with the settings of the run.
        settings: of the continuation, as plain data.
        may_change: see `fixed_settings`.

    Raises:
        ConfigError: a fixed setting differs, or the file cannot be read.
    """
    before, now = (fixed_settings(data, may_change) for data in (read_settings(path), settings))
    for key in [*now, *before]:
        old, new = before.get(key, _NOT_SET), now.get(key, _NOT_SET)
        if old != new:
            raise ConfigError(
                f"cannot resume: {key} is {new!r} here and was {old!r} in the run in "
                f"{path.parent}; only {', '.join(may_change[:-1])} and {may_change[-1]} may "
                "change: set it back, or choose another output.directory"
            )


def fixed_settings(settings: dict[str, Any], may_change: Sequence[str]) -> dict[str, Any]:
    """Return the settings that a continuation must share, by dotted name.

    Args:
        settings: as plain data.
        may_change: dotted names of settings and sections that are left out.
    """
    return {
        key: value
        for key, value in flattened(settings)
        if not any(key == name or key.startswith(f"{name}.") for name in may_change)
    }


def locked(directory: Path) -> AbstractContextManager[None]:
    """Lock the folder of a run against a second process; a killed process releases it.

    Raises:
        ConfigError: another process runs in the folder.
    """
    return locks.locked(
        directory / LOCK,
        f"{directory}: another process is running in this folder: wait for it, or choose another "
        "output.directory",
    )

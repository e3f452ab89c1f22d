"""Exceptions of nnpmm.

Every message is one line that says what was found, what is allowed and what to do. It names
arguments as in Python, such as ``overwrite=True`` or ``charge=...``. The command line prints the
line with its own option instead of the argument, and exits with status 2.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "ForceFieldError",
    "InputFileError",
    "LockedError",
    "ModelError",
    "NnpmmError",
    "OptionalDependencyError",
    "RegionError",
    "SelectionError",
    "SimulationError",
    "WeightsError",
    "shortened",
]

_LONGEST = 200


class NnpmmError(Exception):
    """Base of all errors that a user of nnpmm can cause and correct."""


class ConfigError(NnpmmError, ValueError):
    """A setting is unknown, has the wrong type or unit, or contradicts another one."""


class LockedError(ConfigError):
    """Another process works in the folder."""


class InputFileError(NnpmmError, ValueError):
    """A structure, topology or coordinate file is missing, unreadable or disagrees with another."""


class SelectionError(NnpmmError, ValueError):
    """An atom selection cannot be parsed, matches nothing, or matches everything."""


class RegionError(NnpmmError, ValueError):
    """The selected region cannot be described by the model: cut bonds, elements, charge."""


class ModelError(NnpmmError, ValueError):
    """A model name, backend, device or set of ensemble members that does not exist."""


class WeightsError(NnpmmError):
    """Network weights are missing, truncated, or do not match their checksum."""


class ForceFieldError(NnpmmError, ValueError):
    """The MM system has a force that cannot be coupled, or lacks parameters on the region."""


class SimulationError(NnpmmError, RuntimeError):
    """A simulation cannot continue: non-finite positions or energies, an unusable checkpoint."""


class OptionalDependencyError(NnpmmError, ImportError):
    """An optional package is not installed; the message gives the line that installs it."""


def shortened(text: object) -> str:
    """Return a text or the message of an exception as one line of at most 200 characters.

    An OSError gives its reason alone: nnpmm's own message names the file.
    """
    if isinstance(text, OSError) and text.strerror:
        text = text.strerror
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."

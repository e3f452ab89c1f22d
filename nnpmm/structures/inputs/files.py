"""Checks and conversions that the readers of every input type share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from openmm import app, unit

from nnpmm.core.errors import ConfigError, InputFileError, NnpmmError
from nnpmm.structures.inputs.sources import AmberSystem, CharmmSystem, GromacsSystem

__all__ = ["check_file", "read_file", "system_options"]

T = TypeVar("T")


def check_file(path: Path, suffixes: tuple[str, ...], what: str) -> str:
    """Return ``path`` as text after a check that it is a file of an allowed type.

    Raises:
        InputFileError: another suffix, no such file, or a folder.
    """
    if path.suffix.lower() not in suffixes:
        raise InputFileError(
            f"{path}: found {path.suffix or 'no suffix'!r} for the {what}, "
            f"allowed: {', '.join(suffixes)}"
        )
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "no such file"
        raise InputFileError(f"{path}: {reason}; give the {what} ({', '.join(suffixes)})")
    return str(path)


def read_file(path: Path | str, what: str, reader: Callable[[], T]) -> T:
    """Call a reader of OpenMM and turn whatever it raises into one line that names the file.

    Raises:
        InputFileError: the reader failed.
    """
    try:
        return reader()
    except NnpmmError:
        raise
    except Exception as error:  # OpenMM's readers raise many kinds
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputFileError(f"{path}: cannot read the {what}: {text[:300]}") from error


def system_options(source: AmberSystem | GromacsSystem | CharmmSystem, periodic: bool) -> dict:
    """Return the keyword arguments of ``createSystem``.

    Args:
        source: settings of the MM system.
        periodic: the files contain a periodic box.

    Raises:
        ConfigError: the nonbonded method needs a box and there is none.
    """
    method = source.nonbonded_method
    needs_box = method in ("PME", "LJPME", "Ewald", "CutoffPeriodic")
    if needs_box and not periodic:
        raise ConfigError(
            f"system.nonbonded_method: found {method}, but the files contain no periodic box: "
            "set NoCutoff, or give coordinates with a box"
        )
    options: dict[str, Any] = {
        "nonbondedMethod": getattr(app, method),
        "nonbondedCutoff": source.cutoff * unit.nanometer,
        "constraints": None if source.constraints == "None" else getattr(app, source.constraints),
        "rigidWater": source.rigid_water,
        "ewaldErrorTolerance": source.ewald_error_tolerance,
        "removeCMMotion": True,
    }
    if source.hydrogen_mass is not None:
        options["hydrogenMass"] = source.hydrogen_mass * unit.dalton
    return options

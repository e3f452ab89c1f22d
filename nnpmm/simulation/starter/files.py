"""Recognize the system in a list of files, and create the ``system`` section of the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nnpmm.core.errors import ConfigError, InputFileError

__all__ = ["recognize"]

_PRMTOP = (".prmtop", ".parm7", ".prm7")
_AMBER_COORDINATES = (".inpcrd", ".rst7", ".rst", ".crd", ".pdb")
_PDB = (".pdb", ".cif")
_MOLECULE = (".sdf", ".mol", ".mol2")
_CHARMM_COORDINATES = (".crd", ".cor", ".pdb")
_CHARMM_PARAMETERS = (".prm", ".par", ".rtf", ".top", ".str", ".inp")
_KNOWN = {
    *_PRMTOP, *_AMBER_COORDINATES, *_PDB, *_MOLECULE, *_CHARMM_COORDINATES, *_CHARMM_PARAMETERS,
    ".gro", ".psf", ".xml",
}  # fmt: skip
_ALLOWED = (
    "prmtop + inpcrd, top + gro, psf + crd + parameters, System xml + pdb, protein pdb + ligand "
    "sdf, a ligand sdf or mol2, or SMILES"
)


def recognize(
    files: Sequence[str],
    *,
    smiles: str | None = None,
    box: str | None = None,
    include: Sequence[Path] = (),
) -> dict[str, Any]:
    """Return the ``system`` section for some files.

    Args:
        files: paths in any order, or one SMILES.
        smiles: SMILES of a ligand in water, in place of files.
        box: edges of the box in nm, separated by commas, for CHARMM files.
        include: folders of ``#include`` files, for a GROMACS topology.

    Raises:
        InputFileError: a file does not exist.
        ConfigError: the files are not a system, or an option does not match them.
    """
    if smiles is not None and files:
        raise ConfigError(f"found {', '.join(files)} and smiles=...: give one of them")
    if smiles is None and not files:
        raise ConfigError(f"found no files and no smiles=...; allowed: {_ALLOWED}")
    if smiles is None and len(files) == 1 and _is_smiles(files[0]):
        smiles = files[0]
    if smiles is not None:
        section: dict[str, Any] = {"type": "build", "smiles": smiles}
    else:
        paths = [Path(name) for name in files]
        for path in paths:
            if not path.is_file():
                raise InputFileError(f"{path}: no such file; allowed: {_ALLOWED}")
        section = _from_files(paths)
    if box is not None and section["type"] != "charmm":
        raise ConfigError(
            f"found box {box}, which is for CHARMM files: other files contain the box"
        )
    if include and section["type"] != "gromacs":
        raise ConfigError("found include, which is for a GROMACS topology: leave it out")
    if box is not None:
        section["box"] = _edges(box)
    if include:
        section["include_directories"] = list(include)
    return section


def _is_smiles(text: str) -> bool:
    return not Path(text).is_file() and Path(text).suffix.lower() not in _KNOWN


def _edges(text: str) -> list[str]:
    try:
        edges = [float(part.removesuffix("nm")) for part in text.split(",")]
    except ValueError:
        edges = []
    if len(edges) != 3 or not all(edge > 0 for edge in edges):
        raise ConfigError(f"found box {text!r}, expected three edges in nm such as 6.0,6.0,6.0")
    return [f"{edge:g} nm" for edge in edges]


def _from_files(paths: list[Path]) -> dict[str, Any]:
    """Return the section for the kind of system that the suffixes belong to."""
    suffixes = [path.suffix.lower() for path in paths]
    if ".psf" in suffixes:
        return _charmm(paths)
    if ".xml" in suffixes:
        chosen = _pick(paths, {"system": _has(".xml"), "structure": _has(*_PDB)})
        return {"type": "openmm", **chosen}
    if any(suffix in _PRMTOP for suffix in suffixes) or any(map(_is_amber_top, paths)):
        chosen = _pick(paths, {"topology": _is_amber, "coordinates": _has(*_AMBER_COORDINATES)})
        return {"type": "amber", **chosen}
    if ".top" in suffixes:
        chosen = _pick(paths, {"topology": _has(".top"), "coordinates": _has(".gro", ".pdb")})
        return {"type": "gromacs", **chosen}
    if any(suffix in _MOLECULE for suffix in suffixes):
        parts = {"ligand": _has(*_MOLECULE)} | ({"protein": _has(*_PDB)} if len(paths) > 1 else {})
        return {"type": "build", **_pick(paths, parts)}
    raise ConfigError(
        f"found no force field and no ligand with bond orders in {_names(paths)}; "
        f"allowed: {_ALLOWED}"
    )


def _charmm(paths: list[Path]) -> dict[str, Any]:
    is_parameters = _has(*_CHARMM_PARAMETERS)
    parameters = [path for path in paths if is_parameters(path)]
    rest = [path for path in paths if path not in parameters]
    if not parameters:
        raise ConfigError(
            f"found {_names(paths)} without parameters: add CHARMM's parameter files "
            f"({', '.join(_CHARMM_PARAMETERS)})"
        )
    chosen = _pick(rest, {"psf": _has(".psf"), "coordinates": _has(*_CHARMM_COORDINATES)})
    return {"type": "charmm", **chosen, "parameters": parameters}


def _has(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix.lower() in suffixes


def _is_amber_top(path: Path) -> bool:
    """Return whether a .top file is Amber's; GROMACS uses the same suffix."""
    if path.suffix.lower() != ".top":
        return False
    with path.open("rb") as handle:
        return handle.read(8) == b"%VERSION"


def _is_amber(path: Path) -> bool:
    return path.suffix.lower() in _PRMTOP or _is_amber_top(path)


def _pick(paths: list[Path], parts: dict[str, Callable[[Path], bool]]) -> dict[str, Path]:
    """Return the one file for each part; every file must belong to a part."""
    chosen = {}
    for name, belongs in parts.items():
        found = [path for path in paths if belongs(path)]
        if len(found) != 1:
            count = "no file" if not found else _names(found)
            raise ConfigError(f"found {count} for the {name}, expected one; allowed: {_ALLOWED}")
        chosen[name] = found[0]
    left = [path for path in paths if path not in chosen.values()]
    if left:
        raise ConfigError(
            f"found {_names(left)} in addition to {_names(list(chosen.values()))}: leave it out; "
            f"allowed: {_ALLOWED}"
        )
    return chosen


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)

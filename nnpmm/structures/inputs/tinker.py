"""AMOEBA systems from Tinker's files: coordinates, parameters, and the key file of a run."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit
from scipy.special import erfcinv

from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.structures.inputs.files import check_file, read_file
from nnpmm.structures.inputs.sources import TinkerSystem
from nnpmm.structures.inputs.tinker_keywords import KeywordFile, Line, atom_group, read_keywords
from nnpmm.structures.inputs.tinker_parameters import check_complete, check_unique
from nnpmm.structures.mm_system import MMSystem

__all__ = ["LONG_VDW_CUTOFF", "load_tinker"]

_NM = 0.1  # nm in an angstrom
# Tinker's defaults for key words that a key file lacks (kewald.f, cutoffs.f, mpole.f).
_EWALD_CUTOFF, _VDW_CUTOFF, _TOLERANCE = 0.7, 0.9, 1e-6
_EWALD_ERROR = 1e-8  # erfc(alpha r) / r at the cutoff r, 1/angstrom
_GRID_DENSITY = 1.2  # points per angstrom
# Without a key file: the published protocol of solvation with AMOEBA (Jaffrelot Inizan, 2023).
LONG_VDW_CUTOFF = 1.2  #: nm
_LOOSE_TOLERANCE = 1e-5
_POLARIZATION = {"mutual": "mutual", "direct": "direct", "opt3": "extrapolated"}


class _Options(NamedTuple):
    """Options of a System; lengths in nm, the tolerance of induced dipoles in Debye."""

    box: NDArray[np.float64] | None
    cutoff: float
    vdw_cutoff: float
    tolerance: float
    polarization: str
    dispersion_correction: bool
    pme: tuple[float, tuple[int, int, int]] | None


def load_tinker(source: TinkerSystem) -> MMSystem:
    """Read Tinker coordinates with parameters and, if given, the key file of a run.

    Cutoffs, box, accuracy of induced dipoles, Ewald parameters and long-range correction are those
    of the key file. Without one, settings and the defaults of `TinkerSystem` are used.

    Raises:
        InputFileError: a file cannot be read, parameters are missing (classes and atoms are named)
            or given twice.
        ConfigError: an unsupported key word that would change the energy, one that is also in the
            settings, or no box.
    """
    xyz = check_file(source.xyz, (".xyz", ".arc", ".txyz"), "Tinker coordinates")
    for path in source.parameters:
        check_file(path, (".prm", ".key"), "Tinker parameters")
    files = [read_keywords(path, is_key=False) for path in source.parameters]
    key = None
    if source.key is not None:
        check_file(source.key, (".key",), "Tinker key file")
        key = read_keywords(source.key, is_key=True)
        files.append(key)
    check_unique(files)
    tinker = _read_tinker(xyz, files)
    check_complete(tinker, files)
    _check_order(tinker)
    options = _choose_options(source, tinker, files, key)
    system = _create_system(source, tinker, options)
    positions = np.array(tinker.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    region = None if key is None else _network_atoms(key, len(positions))
    return MMSystem(tinker.topology, positions, options.box, system, ligand_atoms=region)


def _read_tinker(xyz: str, files: list[KeywordFile]) -> Any:
    """Return OpenMM's reader with the parameters of all files merged into one.

    With several files, OpenMM uses the constants of the last one, and defaults where it has none.
    """
    lines = [line for file in files for line in file.lines]
    with tempfile.TemporaryDirectory() as folder:
        merged = Path(folder) / "merged.prm"
        merged.write_text("\n".join(lines) + "\n", encoding="utf-8")
        names = ", ".join(file.path.name for file in files)
        return read_file(
            f"{xyz} with {names}", "Tinker files", lambda: app.TinkerFiles(xyz, [str(merged)])
        )


def _check_order(tinker: Any) -> None:
    """Check that a molecule's atoms are contiguous.

    OpenMM's topology lists one molecule after the other, but its positions follow the file.
    """
    for index, atom in enumerate(tinker.topology.atoms()):
        if int(atom.id) != index:
            raise InputFileError(
                "the Tinker coordinates do not list the atoms of a molecule or residue together "
                f"(atom {index + 1}): write the atoms molecule by molecule"
            )


def _choose_options(
    source: TinkerSystem, tinker: Any, files: list[KeywordFile], key: KeywordFile | None
) -> _Options:
    """Return the options of a System from the key file, the settings and the defaults."""
    box = _box(source, tinker, key)
    if source.nonbonded_method == "NoCutoff":
        box = None
    elif box is None:
        raise ConfigError(
            "system.nonbonded_method: found PME, but neither the xyz file, the key file nor "
            "system.box has a periodic box: give one, or set NoCutoff"
        )
    if key is None:
        vdw_cutoff = source.vdw_cutoff or LONG_VDW_CUTOFF
        tolerance = source.polarization_tolerance or _LOOSE_TOLERANCE
        cutoff, polarization = source.cutoff or _EWALD_CUTOFF, _polarization(source, files, None)
        return _Options(box, cutoff, vdw_cutoff, tolerance, polarization, True, None)
    if box is not None and "ewald" not in key.run:
        raise ConfigError(
            f"{key.path.name}: has no key word ewald, which OpenMM's AMOEBA needs in a periodic "
            "box; add it, or set system.nonbonded_method to NoCutoff"
        )
    cutoff = _length(key, "ewald-cutoff", source.cutoff, "cutoff", _EWALD_CUTOFF)
    return _Options(
        box=box,
        cutoff=cutoff,
        vdw_cutoff=_length(key, "vdw-cutoff", source.vdw_cutoff, "vdw_cutoff", _VDW_CUTOFF),
        tolerance=_setting(
            key,
            "polar-eps",
            source.polarization_tolerance,
            "polarization_tolerance",
            _TOLERANCE,
        ),
        polarization=_polarization(source, files, key),
        dispersion_correction="vdw-correction" in key.run,
        pme=None if box is None else _ewald(key, cutoff, box),
    )


def _box(source: TinkerSystem, tinker: Any, key: KeywordFile | None) -> NDArray[np.float64] | None:
    """Return the box of settings, key file or xyz file, which must not contradict each other.

    Missing edges of a key file are completed as in Tinker's subroutine unitcell.
    """
    vectors = tinker.topology.getPeriodicBoxVectors()
    found = {}
    if vectors is not None:
        found[source.xyz.name] = np.array(vectors.value_in_unit(unit.nanometer))
    edges = {} if key is None else _edges(key)
    if key is not None and edges:
        a = edges.get("a-axis", max(edges.values()))
        box = np.diag([a, edges.get("b-axis", a), edges.get("c-axis", a)])
        found[key.path.name] = box * _NM
    if source.box is not None:
        found["system.box"] = np.diag(source.box).astype(np.float64)
    boxes = list(found.values())
    if any(not np.allclose(box, boxes[0], rtol=0, atol=1e-5) for box in boxes[1:]):
        raise ConfigError(f"found different boxes in {' and '.join(found)}: give one of them")
    return boxes[0] if boxes else None


def _edges(key: KeywordFile) -> dict[str, float]:
    """Return the edges of the box that a key file gives, angstrom; the first of each counts."""
    words = [word for word in ("a-axis", "b-axis", "c-axis") if word in key.run]
    return {word: _number(key, key.run[word][0]) for word in words}


def _polarization(source: TinkerSystem, files: list[KeywordFile], key: KeywordFile | None) -> str:
    """Return OpenMM's name of the polarization; a setting overrides that of the force field."""
    lines = [(file, line) for file in files for line in file.run.get("polarization", ())]
    found = "mutual"
    if lines:
        file, line = lines[-1]
        word = line.fields[0].lower() if line.fields else ""
        if word not in _POLARIZATION:
            raise ConfigError(
                f"{file.path.name}, line {line.number}: found polarization {word}, allowed: "
                f"{', '.join(_POLARIZATION)}"
            )
        found = _POLARIZATION[word]
    wanted = source.polarization
    if key is not None and "polarization" in key.run and wanted not in (None, found):
        raise ConfigError(
            f"system.polarization: found {wanted}, and {found} in {key.path.name}: give it once"
        )
    return wanted or found


def _ewald(
    key: KeywordFile, cutoff: float, box: NDArray[np.float64]
) -> tuple[float, tuple[int, int, int]]:
    """Return Tinker's Ewald coefficient (1/nm) and grid (subroutines ewaldcof and kewald)."""
    if "ewald-alpha" in key.run:
        alpha = _number(key, key.run["ewald-alpha"][-1]) / _NM
    else:
        alpha = float(erfcinv(_EWALD_ERROR * cutoff / _NM)) / cutoff
    if "pme-grid" in key.run:
        line = key.run["pme-grid"][-1]
        try:
            grid = [int(text) for text in line.fields] or [0]
        except ValueError as error:
            raise InputFileError(_unreadable(key, line)) from error
        grid = 3 * grid if len(grid) == 1 else grid
        if len(grid) != 3 or min(grid) < 1:
            raise InputFileError(_unreadable(key, line))
        return alpha, (grid[0], grid[1], grid[2])
    x, y, z = (_grid_points(float(edge)) for edge in np.linalg.norm(box, axis=1))
    return alpha, (x, y, z)


def _grid_points(edge: float) -> int:
    """Return the smallest even number of sufficient points with the prime factors 2, 3 and 5."""
    points = math.ceil(_GRID_DENSITY * edge / _NM - 1e-8)
    while True:
        rest = points
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and points % 2 == 0:
            return points
        points += 1


def _length(
    key: KeywordFile, word: str, given: float | None, setting: str, default: float
) -> float:
    """Return a length of the key file (angstrom), or of the settings, in nm."""
    return _setting(key, word, given, setting, default, scale=_NM)


def _setting(
    key: KeywordFile,
    word: str,
    given: float | None,
    setting: str,
    default: float,
    scale: float = 1.0,
) -> float:
    """Return a number of the key file, times a scale, or else that of the settings."""
    if word not in key.run:
        return default if given is None else given
    if given is not None:
        raise ConfigError(
            f"system.{setting}: found {given:g}, and {word} in {key.path.name}: give it once"
        )
    return scale * _number(key, key.run[word][-1])


def _number(key: KeywordFile, line: Line) -> float:
    try:
        value = float(line.fields[0])
    except (ValueError, IndexError) as error:
        raise InputFileError(_unreadable(key, line)) from error
    if not 0 < value < math.inf:
        raise InputFileError(_unreadable(key, line))
    return value


def _unreadable(key: KeywordFile, line: Line) -> str:
    text = " ".join([line.word, *line.fields])
    return f"{key.path.name}, line {line.number}: cannot read {text!r}, expected positive numbers"


def _create_system(source: TinkerSystem, tinker: Any, options: _Options) -> openmm.System:
    method = app.NoCutoff
    if options.box is not None:
        method = app.PME
        tinker.topology.setPeriodicBoxVectors(options.box * unit.nanometer)
    hydrogen_mass = None if source.hydrogen_mass is None else source.hydrogen_mass * unit.dalton
    system = read_file(
        source.xyz,
        "Tinker files",
        lambda: tinker.createSystem(
            nonbondedMethod=method,
            nonbondedCutoff=options.cutoff * unit.nanometer,
            vdwCutoff=options.vdw_cutoff * unit.nanometer,
            polarization=options.polarization,
            mutualInducedTargetEpsilon=options.tolerance,
            hydrogenMass=hydrogen_mass,
        ),
    )
    for force in system.getForces():
        if isinstance(force, openmm.AmoebaVdwForce):
            force.setUseDispersionCorrection(options.dispersion_correction)
        if isinstance(force, openmm.AmoebaMultipoleForce) and options.pme is not None:
            alpha, grid = options.pme
            force.setPMEParameters(alpha, *grid)
    return system


def _network_atoms(key: KeywordFile, n_atoms: int) -> NDArray[np.int64] | None:
    """Return the atoms of group 1 if the key file describes them by a network, as in Deep-HP."""
    lines = key.run.get("mlpot", [])
    modes = {(line.fields[0].lower() if line.fields else "") for line in lines}
    if not modes or modes == {"none"}:
        return None
    if modes != {"embedding"}:
        line = lines[-1]
        raise ConfigError(
            f"{key.path.name}, line {line.number}: found mlpot {' '.join(line.fields)}, allowed: "
            "embedding, or none"
        )
    groups = [line for line in key.run.get("group", []) if line.fields[:1] == ("1",)]
    if len(groups) != 1:
        raise ConfigError(
            f"{key.path.name}: found mlpot embedding with {len(groups)} definitions of group 1, "
            "which are the atoms of the network; give one"
        )
    return np.array(atom_group(groups[0], key.path, n_atoms, skip=1), dtype=np.int64)

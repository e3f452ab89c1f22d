"""Features of existing runs: a folder in water and a folder in a membrane.

A folder contains the production files of ``runs.run_solute``:

    production.trr            frames
    production.safetensors    energies of each frame, and which molecules there are

In place of the second, a run of GROMACS may have its own files, with energies as often as frames:

    production.top            whose [ molecules ] are lipids, W, WF and the solute, in this order or
                              another; the solute's beads in the usual order, C1-P4 and not P4-C1
    production.edr            read by ``gmx energy``
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.arrays import load_arrays
from nnpmm.core.errors import InputFileError, shortened
from nnpmm.permeation.features import membrane_features, water_features
from nnpmm.permeation.martini.engines import Frame, read_frames
from nnpmm.permeation.martini.force_field import MoleculeType, lipid, water
from nnpmm.permeation.martini.gromacs import GromacsEngine
from nnpmm.permeation.martini.solute import canonical_graph, parse_solute
from nnpmm.permeation.martini.system import MartiniSystem
from nnpmm.permeation.martini.tables import LIPID_TAILS
from nnpmm.permeation.runs.checks import check_membrane_run
from nnpmm.permeation.runs.protocol import ProtocolSettings

__all__ = ["trajectory_features"]

_STAGE = "production"


def trajectory_features(
    solute: str,
    lipid_name: str,
    water_run: Path,
    membrane_run: Path,
    protocol: ProtocolSettings,
) -> NDArray[np.float32]:
    """Return the features, (frames, 8), of two runs; the longer one is cut to the shorter.

    Args:
        solute: its graph.
        lipid_name: of the bilayer.
        water_run: folder of the run in water.
        membrane_run: folder of the run in the membrane, with the solute restrained at its midplane.
        protocol: of the model, which says where the solute must have been restrained.

    Raises:
        InputFileError: a file is missing or damaged, or contains other molecules.
        SimulationError: a run blew up, or the solute was elsewhere in the membrane.
    """
    in_water = _read_system(water_run, solute, lipids=())
    in_membrane = _read_system(membrane_run, solute, lipids=(lipid_name,))
    enthalpies = _read_enthalpies(water_run)
    frames = list(_frames(water_run, in_water))
    if len(frames) != len(enthalpies) or len(frames) < 3:
        raise InputFileError(
            f"{water_run}: found {len(frames)} frames and {len(enthalpies)} enthalpies, expected "
            "equal numbers, three or more: write energies and frames at the same interval"
        )
    outside = water_features(in_water, frames, enthalpies[1:]).values
    table = membrane_features(in_membrane, _frames(membrane_run, in_membrane))
    check_membrane_run(table, protocol)
    inside = table.values
    rows = min(len(outside), len(inside))
    return np.concatenate([outside[:rows], inside[:rows]], axis=1)


def _read_system(folder: Path, solute: str, lipids: tuple[str, ...]) -> MartiniSystem:
    """Return the system of a run, which must be of one solute, water and these lipids."""
    record = folder / f"{_STAGE}.safetensors"
    topology = folder / f"{_STAGE}.top"
    if record.exists():
        counts = [(str(name), int(n)) for name, n in load_arrays(record)[1].get("molecules", [])]
    else:
        counts = _read_molecules(topology)
    kinds = {"W": water(), "WF": water(antifreeze=True)}
    kinds |= {name: lipid(name) for name in LIPID_TAILS}
    molecules: list[tuple[MoleculeType, int]] = []
    solutes = 0
    for name, count in counts:
        if name not in kinds:
            solutes += count
            own = record.exists()
            kinds[name] = _solute(folder, name, solute) if own else parse_solute(solute)
        molecules.append((kinds[name], count))
    found = {name for name, _ in counts if name in LIPID_TAILS}
    if found != set(lipids) or solutes != 1:
        raise InputFileError(
            f"{folder}: found {solutes} solutes and the lipids {', '.join(sorted(found)) or 'none'}"
            f", expected one solute and {', '.join(lipids) or 'none'}: give the folder of the run "
            "in water first, then that in the membrane"
        )
    return MartiniSystem(tuple(molecules))


def _solute(folder: Path, name: str, wanted: str) -> MoleculeType:
    """Return the solute of a run by nnpmm, its beads in the order of the run.

    Raises:
        InputFileError: it is another one.
    """
    if canonical_graph(name) != canonical_graph(wanted):
        raise InputFileError(f"{folder}: found a run of {name}, expected one of {wanted}")
    return parse_solute(name)


def _read_molecules(topology: Path) -> list[tuple[str, int]]:
    """Return names and numbers from the last section of a GROMACS topology."""
    try:
        text = topology.read_text(encoding="utf-8")
        lines = [line.partition(";")[0].split() for line in text.splitlines()]
        start = lines.index(["[", "molecules", "]"])
        return [(name, int(count)) for name, count in filter(None, lines[start + 1 :])]
    except OSError as error:
        raise InputFileError(
            f"{topology.parent}: found neither {_STAGE}.safetensors nor {topology.name}; give "
            "folders of runs by nnpmm or GROMACS"
        ) from error
    except ValueError as error:
        raise InputFileError(
            f"{topology}: cannot read its [ molecules ]: {shortened(error)}"
        ) from error


def _read_enthalpies(folder: Path) -> NDArray[np.float64]:
    """Return the enthalpy, kJ/mol, of every frame."""
    record = folder / f"{_STAGE}.safetensors"
    if record.exists():
        arrays = load_arrays(record)[0]
        if "observable-enthalpy" not in arrays:
            raise InputFileError(f"{record}: found no enthalpies: the run was not at a pressure")
        return arrays["observable-enthalpy"]
    if not (folder / f"{_STAGE}.edr").exists():
        raise InputFileError(f"{folder}: found no {_STAGE}.edr with the energies of the run")
    return GromacsEngine().read_energies(folder, _STAGE, ("Enthalpy",))["Enthalpy"]


def _frames(folder: Path, system: MartiniSystem) -> Iterator[Frame]:
    path = folder / f"{_STAGE}.trr"
    if not path.exists():
        raise InputFileError(f"{folder}: found no {path.name}")
    for frame in read_frames(path):
        if len(frame.positions) != system.n_beads:
            raise InputFileError(
                f"{path}: found {len(frame.positions)} beads in a frame, {system.n_beads} in the "
                "run's molecules and the solute asked for"
            )
        yield frame

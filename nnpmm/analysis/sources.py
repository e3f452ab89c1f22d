"""Input of an analysis: a topology, a trajectory, and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mdtraj
import numpy as np
from numpy.typing import NDArray
from openmm import app
from rdkit import Chem

from nnpmm.core.errors import InputFileError, shortened
from nnpmm.structures.readers import READERS, read_structure

__all__ = ["Readings", "Source", "read_source"]


@dataclass(frozen=True, eq=False)
class Readings:
    """Values that a simulation logged while it wrote the trajectory.

    Attributes:
        time: (m,) ps, on the clock of the frames.
        columns: values (m,) by name: ``temperature`` (K), ``pressure`` (bar), ``density`` (g/ml),
            ``volume`` (nm^3), ``potential_energy``, ``network_energy`` and ``network_spread``
            (kJ/mol), the last one the standard deviation of an ensemble's members.
    """

    time: NDArray[np.float64]
    columns: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Source:
    """One trajectory, with its topology and metadata.

    Attributes:
        name: of the trajectory in tables and pictures.
        topology: of the atoms in the trajectory.
        trajectory: file in a format that mdtraj reads.
        interval: time between frames, ps; None uses the times in the file, if it has any.
        start: time of the first frame, ps, if ``interval`` is given.
        reference: (n_atoms, 3) nm, the reference structure of deviations; None uses the first
            frame.
        box: (3, 3) nm, rows, the periodic box of the reference; None: its molecules are whole.
        ligand: 0-based indices of the ligand's atoms, if known.
        molecule: the ligand with its bond orders, its atoms in the order of ``ligand``.
        readings: the logged values.
        b_factors: (n_atoms,) angstrom^2, from a crystal structure.
    """

    name: str
    topology: app.Topology
    trajectory: Path
    interval: float | None = None
    start: float = 0.0
    reference: NDArray[np.float64] | None = None
    box: NDArray[np.float64] | None = None
    ligand: NDArray[np.int64] | None = None
    molecule: Chem.Mol | None = None
    readings: Readings | None = None
    b_factors: NDArray[np.float64] | None = field(default=None)


def read_source(
    topology: Path, trajectory: Path, *, interval: float | None = None, name: str | None = None
) -> Source:
    """Read the topology of a trajectory.

    If the topology file has coordinates, they are the reference of deviations. Its B factors are
    kept if they differ between atoms.

    Args:
        topology: file that nnpmm or mdtraj reads.
        trajectory: file that mdtraj reads.
        interval: time between frames, ps, for a format without times.
        name: of the trajectory; the file's name without its suffix if left out.

    Raises:
        InputFileError: a file is missing, or the topology cannot be read.
    """
    for path in (topology, trajectory):
        if not path.is_file():
            raise InputFileError(f"{path}: no such file; check the path")
    found, reference, box = _read_topology(topology)
    return Source(
        trajectory.stem if name is None else name,
        found,
        trajectory,
        interval,
        start=0.0,
        reference=reference,
        box=box,
        b_factors=_b_factors(topology, found.getNumAtoms()),
    )


def _read_topology(
    path: Path,
) -> tuple[app.Topology, NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Return a topology, and positions and box where the file has them."""
    if path.suffix.lower() in READERS:
        structure = read_structure(path)
        return structure.topology, structure.positions, structure.box
    try:
        return mdtraj.load_topology(str(path)).to_openmm(), None, None
    except Exception as error:  # mdtraj's readers raise many kinds
        raise InputFileError(
            f"{path}: cannot be read as a topology ({shortened(error)}); known: "
            f"{', '.join(READERS)} and the formats that mdtraj reads"
        ) from error


def _b_factors(path: Path, n_atoms: int) -> NDArray[np.float64] | None:
    """Return the B factors of a PDB file, or None where it has none."""
    if path.suffix.lower() != ".pdb":
        return None
    values: list[float] = []
    with open(path, encoding="utf-8", errors="replace") as handle:
        for line in handle:
            if line.startswith("ENDMDL"):
                break
            if line.startswith(("ATOM", "HETATM")):
                try:
                    values.append(float(line[60:66]))
                except ValueError:
                    return None
    found = np.array(values)
    if len(found) != n_atoms or np.ptp(found) == 0:
        return None
    return found

"""A liquid without a solute: its density and how its atoms lie around each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from openmm import app

from nnpmm.analysis.frames import FrameReader, first_frame
from nnpmm.analysis.observations import Observations
from nnpmm.analysis.radial import choose_pairs, radial_distribution
from nnpmm.analysis.sources import Readings, Source
from nnpmm.analysis.subjects import check_bond_lengths
from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML
from nnpmm.core.errors import InputFileError
from nnpmm.structures.readers import Structure
from nnpmm.structures.selection import is_water

__all__ = ["is_liquid", "observe_liquid"]

_REACH, _BIN = 1.0, 0.005  # nm, of radial distribution functions
_WIDTH = 0.45  # largest radius as a share of the narrowest box; half is the limit
_PAIRS = 2_000_000  # in a frame, of all elements
_FRAMES = 400  # spread evenly, that radial distribution functions are taken from
_BLOCKS = 10


def is_liquid(topology: app.Topology) -> bool:
    """Tell whether a system is water, with ions or without, or several molecules of one kind."""
    residues = list(topology.residues())
    if any(b.atom1.residue.index != b.atom2.residue.index for b in topology.bonds()):
        return False
    kinds = {(r.name, tuple(atom.name for atom in r.atoms())) for r in residues}
    if len(kinds) == 1 and len(residues) > 1:
        return True
    waters = sum(map(is_water, residues))
    return waters > 0 and all(len(r) == 1 or is_water(r) for r in residues)


def observe_liquid(
    source: Source, *, progress: Callable[[str, int, int], None] | None = None
) -> Observations:
    """Observe every frame of a liquid; memory does not grow with the size of the trajectory.

    Radial distribution functions are those between atoms of different molecules, for each pair of
    elements, in ten blocks of frames. They come from at most 400 frames and two million pairs in
    each.

    Args:
        source: the trajectory, of a system that ``is_liquid``.
        progress: is told the name, how many frames are done, and of how many.

    Raises:
        InputFileError: a file cannot be read, topology and trajectory do not belong together, or a
            frame has no periodic box.
    """
    first, box = first_frame(source)
    _check(source, first, box)
    boxes, times, problem = _read_boxes(source)
    volumes = np.linalg.det(boxes)
    widths = 1 / np.linalg.norm(np.linalg.inv(boxes), axis=1)
    bins = int(min(_REACH, _WIDTH * widths.min()) / _BIN)
    radii = _BIN * (np.arange(bins, dtype=np.float64) + 0.5)
    atoms = _Atoms(source.topology)
    distributions = _distributions(source, atoms, radii, len(boxes), progress)
    readings = source.readings or Readings(np.zeros(0), {})
    series = {}
    if "density" not in readings.columns:
        series["density"] = atoms.mass * DALTON_PER_NM3_IN_G_PER_ML / volumes
    return Observations(
        name=source.name,
        time=np.arange(float(len(boxes))) if times is None else times,
        has_time=times is not None,
        series=series,
        reading_time=np.asarray(readings.time, dtype=np.float64),
        readings={n: np.asarray(v, dtype=np.float64) for n, v in readings.columns.items()},
        radii=radii,
        distributions=distributions,
        facts={
            "liquid": atoms.description,
            "partners": atoms.partner_densities(float(np.mean(1 / volumes))),
            "ligand": "",
            "smiles": "",
            "contacts": False,
            "notes": [],
            "problem": problem,
            "trajectory": source.trajectory.name,
        },
    )


def _check(source: Source, first: NDArray[np.float32], box: NDArray[np.float64] | None) -> None:
    if box is None:
        raise InputFileError(
            f"{source.trajectory}: found no periodic box in the first frame, expected one: the "
            "density and structure of a liquid need it"
        )
    structure = Structure(source.topology, first.astype(np.float64), box)
    bonds = [(b.atom1.index, b.atom2.index) for b in source.topology.bonds()]
    every = np.arange(source.topology.getNumAtoms())
    check_bond_lengths(structure, every, np.array(bonds, dtype=np.int64).reshape(-1, 2))


def _read_boxes(
    source: Source,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, str | None]:
    """Return the boxes (f, 3, 3), the times (f,) where they are known, and what ended reading."""
    reader = FrameReader(source, np.arange(source.topology.getNumAtoms()))
    boxes, times = [], []
    for chunk in reader:
        if chunk.boxes is None:
            raise InputFileError(
                f"{source.trajectory}: found frames without a periodic box after frame "
                f"{chunk.first}, expected one in every frame"
            )
        boxes.append(chunk.boxes)
        times.append(chunk.times)
    if not boxes:
        raise InputFileError(f"{source.trajectory}: found no frame that can be read")
    known = [each for each in times if each is not None]
    time = np.concatenate(known) if len(known) == len(times) else None
    return np.concatenate(boxes), time, reader.problem


class _Atoms:
    """The atoms of a liquid by element."""

    def __init__(self, topology: app.Topology) -> None:
        atoms = list(topology.atoms())
        self.molecules = np.array([atom.residue.index for atom in atoms], dtype=np.int64)
        self.mass = sum(a.element.mass._value for a in atoms if a.element is not None)
        symbols = np.array([a.element.symbol if a.element else "" for a in atoms])
        # Heavy elements first: O-H is how hydrogens lie around oxygen.
        names = sorted({s for s in symbols.tolist() if s}, key=lambda s: (s == "H", s))
        self.of_element = {name: np.flatnonzero(symbols == name) for name in names}
        kinds = Counter(residue.name for residue in topology.residues())
        self.description = ", ".join(f"{n:,} {name}" for name, n in kinds.most_common())

    def pairs(self) -> dict[str, NDArray[np.int64]]:
        """Return the pairs of atoms by the names of their elements."""
        both = list(combinations_with_replacement(self.of_element, 2))
        most = _PAIRS // len(both)
        found = {
            f"{a}-{b}": choose_pairs(self.of_element[a], self.of_element[b], self.molecules, most)
            for a, b in both
        }
        return {name: pairs for name, pairs in found.items() if len(pairs)}

    def partner_densities(self, inverse_volume: float) -> dict[str, float]:
        """Return how many second atoms there are for a first one in other molecules, nm^-3."""
        per_molecule = {
            name: np.bincount(self.molecules[rows], minlength=self.molecules.max() + 1)
            for name, rows in self.of_element.items()
        }
        found = {}
        for a, b in combinations_with_replacement(self.of_element, 2):
            own = (per_molecule[a] * per_molecule[b]).sum() / per_molecule[a].sum()
            found[f"{a}-{b}"] = float(per_molecule[b].sum() - own) * inverse_volume
        return found


def _distributions(
    source: Source,
    atoms: _Atoms,
    radii: NDArray[np.float64],
    n_frames: int,
    progress: Callable[[str, int, int], None] | None,
) -> dict[str, NDArray[np.float64]]:
    """Return g(r) in blocks (k, b) of frames that follow each other."""
    chosen = np.unique(np.linspace(0, n_frames - 1, min(n_frames, _FRAMES)).astype(np.int64))
    blocks = min(_BLOCKS, len(chosen))
    block_of = np.arange(len(chosen)) * blocks // len(chosen)
    pairs = atoms.pairs()
    sums = {name: np.zeros((blocks, len(radii))) for name in pairs}
    for chunk in FrameReader(source, np.arange(source.topology.getNumAtoms())):
        end = min(chunk.first + len(chunk.positions), n_frames)
        assert chunk.boxes is not None, "all boxes were read before"
        for n in np.flatnonzero((chosen >= chunk.first) & (chosen < end)).tolist():
            row = int(chosen[n]) - chunk.first
            for name, found in pairs.items():
                sums[name][block_of[n]] += radial_distribution(
                    chunk.positions[row], chunk.boxes[row], found, radii
                )
            if progress is not None:
                progress(source.name, int(chosen[n]) + 1, n_frames)
    counts = np.bincount(block_of)[:, None]
    return {name: total / counts for name, total in sums.items()}

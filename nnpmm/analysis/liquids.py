"""A liquid without a solute: its density and its radial distribution functions."""

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
_WIDTH = 0.45  # largest radius relative to the narrowest box; 0.5 is the limit of minimum images
_PAIRS = 2_000_000  # in a frame, of all elements
_FRAMES = 400  # largest number of frames for radial distribution functions, spread evenly
_BLOCKS = 10

Progress = Callable[[str, int, int], None]


def is_liquid(topology: app.Topology) -> bool:
    """Return whether a system is water, with ions or without, or several molecules of one kind."""
    residues = list(topology.residues())
    if any(b.atom1.residue.index != b.atom2.residue.index for b in topology.bonds()):
        return False
    kinds = {(r.name, tuple(atom.name for atom in r.atoms())) for r in residues}
    if len(kinds) == 1 and len(residues) > 1:
        return True
    waters = sum(map(is_water, residues))
    return waters > 0 and all(len(r) == 1 or is_water(r) for r in residues)


def observe_liquid(source: Source, *, progress: Progress | None = None) -> Observations:
    """Observe every frame of a liquid; memory does not grow with the size of the trajectory.

    Radial distribution functions are those between atoms of different molecules, for each pair of
    elements, in ten blocks of frames. They come from at most 400 frames and two million pairs in
    each.

    Args:
        source: the trajectory, of a system that ``is_liquid``.
        progress: called with the name, the number of frames done, and their total.

    Raises:
        InputFileError: a file cannot be read, topology and trajectory do not belong together, or a
            frame has no periodic box.
    """
    atoms = _Atoms(source.topology)
    reader = FrameReader(source, np.arange(source.topology.getNumAtoms()))
    most_bins = _bins(_checked_box(source)[None])
    sums = _Sums(atoms, most_bins, reader.announced)
    boxes, times = _read(source, reader, sums, progress)
    if len(boxes) != reader.announced:  # the choice of frames was that of another number of frames
        sums = _Sums(atoms, most_bins, len(boxes))
        _read(source, reader, sums, progress)
    # Bins of equal width: those beyond the narrowest box are left out afterwards.
    bins = _bins(boxes)
    volumes = np.linalg.det(boxes)
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
        radii=_radii(bins),
        distributions=sums.means(bins),
        facts={
            "liquid": atoms.description,
            "partners": atoms.partner_densities(float(np.mean(1 / volumes))),
            "ligand": "",
            "smiles": "",
            "contacts": False,
            "notes": [],
            "problem": reader.problem,
            "trajectory": source.trajectory.name,
        },
    )


def _checked_box(source: Source) -> NDArray[np.float64]:
    """Return the box (3, 3) of the first frame, and refuse a frame with impossible bonds."""
    first, box = first_frame(source)
    if box is None:
        raise InputFileError(
            f"{source.trajectory}: found no periodic box in the first frame, expected one: the "
            "density and structure of a liquid need it"
        )
    structure = Structure(source.topology, first.astype(np.float64), box)
    bonds = [(b.atom1.index, b.atom2.index) for b in source.topology.bonds()]
    every = np.arange(source.topology.getNumAtoms())
    check_bond_lengths(structure, every, np.array(bonds, dtype=np.int64).reshape(-1, 2))
    return box


def _bins(boxes: NDArray[np.float64]) -> int:
    """Return the number of bins that boxes (f, 3, 3) allow."""
    widths = 1 / np.linalg.norm(np.linalg.inv(boxes), axis=1)
    return int(min(_REACH, _WIDTH * widths.min()) / _BIN)


def _radii(bins: int) -> NDArray[np.float64]:
    """Return the centres of the bins, nm."""
    return np.asarray(_BIN * (np.arange(bins, dtype=np.float64) + 0.5))


def _read(
    source: Source, reader: FrameReader, sums: _Sums, progress: Progress | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Add all frames to the sums, and return boxes (f, 3, 3) and times (f,) if they are known."""
    boxes, times = [], []
    done = 0
    for chunk in reader:
        if chunk.boxes is None:
            raise InputFileError(
                f"{source.trajectory}: found frames without a periodic box after frame "
                f"{chunk.first}, expected one in every frame"
            )
        boxes.append(chunk.boxes)
        times.append(chunk.times)
        sums.add(chunk.first, chunk.positions, chunk.boxes)
        done += len(chunk.positions)
        if progress is not None:
            progress(source.name, done, max(done, reader.announced))
    if not boxes:
        raise InputFileError(f"{source.trajectory}: found no frame that can be read")
    known = [each for each in times if each is not None]
    time = np.concatenate(known) if len(known) == len(times) else None
    return np.concatenate(boxes), time


class _Atoms:
    """The atoms of a liquid by element."""

    def __init__(self, topology: app.Topology) -> None:
        atoms = list(topology.atoms())
        self.molecules = np.array([atom.residue.index for atom in atoms], dtype=np.int64)
        self.mass = sum(a.element.mass._value for a in atoms if a.element is not None)
        symbols = np.array([a.element.symbol if a.element else "" for a in atoms])
        # Heavy elements first, so that O-H means hydrogens around oxygen.
        names = sorted({s for s in symbols.tolist() if s}, key=lambda s: (s == "H", s))
        self.of_element = {name: np.flatnonzero(symbols == name) for name in names}
        kinds = Counter(residue.name for residue in topology.residues())
        self.description = ", ".join(f"{n:,} {name}" for name, n in kinds.most_common())

    def pairs(self) -> dict[str, NDArray[np.int64]]:
        """Return the pairs of atoms by the names of their elements."""
        both = list(combinations_with_replacement(self.of_element, 2))
        most = _PAIRS // len(both)
        chosen = {
            f"{a}-{b}": choose_pairs(self.of_element[a], self.of_element[b], self.molecules, most)
            for a, b in both
        }
        return {name: pairs for name, pairs in chosen.items() if len(pairs)}

    def partner_densities(self, inverse_volume: float) -> dict[str, float]:
        """Return the density of second elements in other molecules than the first's, nm^-3."""
        per_molecule = {
            name: np.bincount(self.molecules[rows], minlength=self.molecules.max() + 1)
            for name, rows in self.of_element.items()
        }
        found = {}
        for a, b in combinations_with_replacement(self.of_element, 2):
            own = (per_molecule[a] * per_molecule[b]).sum() / per_molecule[a].sum()
            found[f"{a}-{b}"] = float(per_molecule[b].sum() - own) * inverse_volume
        return found


class _Sums:
    """Sums of radial distribution functions over blocks of frames that follow each other.

    Args:
        atoms: of the liquid.
        bins: number of bins.
        n_frames: of the trajectory, from which frames are chosen evenly.
    """

    def __init__(self, atoms: _Atoms, bins: int, n_frames: int) -> None:
        count = min(n_frames, _FRAMES)
        self._frames = np.unique(np.linspace(0, n_frames - 1, count).astype(np.int64))
        blocks = min(_BLOCKS, len(self._frames))
        self._blocks = np.arange(len(self._frames)) * blocks // max(1, len(self._frames))
        self._pairs, self._radii = atoms.pairs(), _radii(bins)
        self._sums = {name: np.zeros((blocks, bins)) for name in self._pairs}

    def add(self, first: int, positions: NDArray[np.float32], boxes: NDArray[np.float64]) -> None:
        """Add the chosen ones of some frames.

        Args:
            first: index of the first of these frames.
            positions: (f, n, 3), nm.
            boxes: (f, 3, 3), nm.
        """
        inside = (self._frames >= first) & (self._frames < first + len(positions))
        for n in np.flatnonzero(inside).tolist():
            row, block = int(self._frames[n]) - first, self._blocks[n]
            for name, pairs in self._pairs.items():
                self._sums[name][block] += radial_distribution(
                    positions[row], boxes[row], pairs, self._radii
                )

    def means(self, bins: int) -> dict[str, NDArray[np.float64]]:
        """Return g(r) of each pair of elements in blocks (k, bins), without further bins."""
        counts = np.bincount(self._blocks)[:, None]
        return {name: total[:, :bins] / counts for name, total in self._sums.items()}

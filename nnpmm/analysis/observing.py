"""One pass over a trajectory, from frames to observations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnpmm.analysis.contacts import KINDS, ContactFinder
from nnpmm.analysis.deviations import Fluctuations, best_rmsd, gyration_radius, lowest_rmsd
from nnpmm.analysis.frames import Chunk, FrameReader, first_frame
from nnpmm.analysis.hydration import count_water
from nnpmm.analysis.imaging import Imager
from nnpmm.analysis.ligand import Ligand, describe_ligand
from nnpmm.analysis.liquids import is_liquid, observe_liquid
from nnpmm.analysis.observations import Observations
from nnpmm.analysis.sources import Readings, Source
from nnpmm.analysis.subjects import NO_LIGAND, find_subject
from nnpmm.analysis.torsions import torsion_angles
from nnpmm.analysis.view import ViewMaker
from nnpmm.core.errors import InputFileError, SelectionError
from nnpmm.core.superposition import superposed
from nnpmm.structures.selection import select_atoms

__all__ = ["Progress", "Settings", "observe"]

#: Called with the name of a trajectory, the number of frames done, and their total.
Progress = Callable[[str, int, int], None]
_WORST = 5  # number of frames of the largest spread that are reported


@dataclass(frozen=True)
class Settings:
    """What to observe.

    Attributes:
        selection: the ligand in mdtraj's language; ``"none"``: there is none; None: the only
            residue that may be one.
        water_around: group whose first shell of water is counted, in mdtraj's language; None: the
            ligand's heavy atoms.
    """

    selection: str | None = None
    water_around: str | None = None


def observe(
    source: Source, settings: Settings | None = None, *, progress: Progress | None = None
) -> Observations:
    """Observe every frame of a trajectory; memory does not grow with its size on disk.

    Args:
        source: the trajectory.
        settings: what to observe.
        progress: called with the name of the trajectory, the frames done, and their total.

    Raises:
        InputFileError: a file cannot be read, or topology and trajectory do not belong together.
        SelectionError: the ligand or the group cannot be found.
    """
    settings = settings or Settings()
    if _has_no_solute(source, settings):
        return observe_liquid(source, progress=progress)
    return _Observer(source, settings, progress).run()


def _has_no_solute(source: Source, settings: Settings) -> bool:
    """Return whether a trajectory is that of a liquid, and no ligand or group was selected."""
    if settings.selection not in (None, NO_LIGAND) or settings.water_around is not None:
        return False
    if source.ligand is not None or not is_liquid(source.topology):
        return False
    return first_frame(source)[1] is not None


class _Observer:
    """The state of one pass."""

    def __init__(self, source: Source, settings: Settings, progress: Progress | None) -> None:
        self.source, self.settings, self.progress = source, settings, progress
        first, box = first_frame(source)
        self.subject = subject = find_subject(source, first, box, settings.selection)
        self.imager = Imager(len(subject.atoms), subject.bonds)
        self.reference = self._reference(first, box)
        self.ligand: Ligand | None = None
        if len(subject.ligand):
            self.ligand = describe_ligand(subject, self.reference, source.molecule)
        self.group = self._group()
        count_waters = len(subject.water) and len(self.group)
        self.water = subject.water if count_waters else subject.water[:0]
        atoms = np.union1d(subject.atoms, self.water)
        self.solute_rows = np.searchsorted(atoms, subject.atoms)
        self.water_rows = np.searchsorted(atoms, self.water)
        self.reader = FrameReader(source, atoms)
        self.centers = [residue.center for residue in subject.receptor]
        self.fluctuations = Fluctuations(sum(map(len, self.centers)), self.reader.announced)
        self.series: dict[str, list[NDArray]] = {}
        self.torsions: list[NDArray[np.float32]] = []
        self.times: list[NDArray[np.float64]] = []
        self.contacts: list[tuple[int, dict[tuple[int, str], NDArray[np.bool_]]]] = []
        self.done, self.has_time = 0, True
        self.worst, self.spreads = self._largest_spreads()
        self.finder: ContactFinder | None = None
        self.viewer: ViewMaker | None = None
        if self.ligand is not None:
            if subject.receptor:
                self.finder = ContactFinder(subject, self.ligand)
            self.viewer = ViewMaker(
                subject, self.reference, self.reader.announced, self.worst.tolist()
            )

    def run(self) -> Observations:
        """Read all frames and return what was observed."""
        for chunk in self.reader:
            self._observe_chunk(chunk)
            self.done += len(chunk.positions)
            if self.progress is not None:
                self.progress(self.source.name, self.done, max(self.reader.announced, self.done))
        return self._observations()

    def _reference(
        self, first: NDArray[np.float32], box: NDArray[np.float64] | None
    ) -> NDArray[np.float32]:
        """Return the solute in the reference structure, or else in the first frame, whole."""
        if self.source.reference is not None:
            first, box = np.asarray(self.source.reference, dtype=np.float32), self.source.box
        chosen = first[self.subject.atoms][None]
        solute: NDArray[np.float32] = self.imager(chosen, None if box is None else box[None])[0]
        return solute

    def _group(self) -> NDArray[np.int64]:
        """Return the rows of the group whose water is counted."""
        text = self.settings.water_around
        if text is None:
            return self.subject.ligand_heavy
        atoms = select_atoms(self.source.topology, text)
        rows = np.searchsorted(self.subject.atoms, atoms)
        rows = np.minimum(rows, len(self.subject.atoms) - 1)
        if (self.subject.atoms[rows] != atoms).any():
            raise SelectionError(
                f"the group {text!r} contains water, ions or lipids; select atoms of the solute"
            )
        return rows

    def _observe_chunk(self, chunk: Chunk) -> None:
        subject = self.subject
        solute = self.imager(chunk.positions[:, self.solute_rows], chunk.boxes)
        if len(self.water):
            water = chunk.positions[:, self.water_rows]
            self._append("water", count_water(solute[:, self.group], water, chunk.boxes))
        if self.finder is not None:
            self.contacts.append((chunk.first, self.finder.find(solute)))
        if len(subject.backbone):
            solute = self._aligned(solute, subject.backbone)
            order = subject.backbone[None]
            self._append("backbone_rmsd", lowest_rmsd(solute, self.reference, order))
            rows = np.concatenate([residue.rows for residue in subject.receptor])
            masses = subject.masses[rows]
            self._append("gyration_radius", gyration_radius(solute[:, rows], masses))
            self.fluctuations.add(chunk.first, solute[:, np.concatenate(self.centers)])
        elif self.ligand is not None:
            solute = self._aligned(solute, self.ligand.heavy)
        if self.ligand is not None:
            self._observe_ligand(solute, self.ligand)
        if self.viewer is not None:
            self.viewer.add(chunk.first, solute)
        frames = np.arange(chunk.first, chunk.first + len(solute), dtype=np.float64)
        self.has_time = self.has_time and chunk.times is not None
        self.times.append(frames if chunk.times is None else chunk.times)

    def _aligned(self, solute: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return superposed(solute, rows, self.reference[rows]).astype(np.float32)

    def _observe_ligand(self, solute: NDArray[np.float32], ligand: Ligand) -> None:
        orders, rows = ligand.symmetries, self.subject.ligand
        if len(self.subject.backbone):
            self._append("ligand_rmsd", lowest_rmsd(solute, self.reference, orders))
        self._append("ligand_internal_rmsd", best_rmsd(solute, self.reference, orders))
        radius = gyration_radius(solute[:, rows], self.subject.masses[rows])
        self._append("ligand_gyration_radius", radius)
        quadruples = np.array([t.rows for t in ligand.torsions], dtype=np.int64).reshape(-1, 4)
        self.torsions.append(torsion_angles(solute, quadruples))

    def _append(self, name: str, values: NDArray) -> None:
        self.series.setdefault(name, []).append(values)

    def _largest_spreads(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the frames at which the logged spread of the ensemble was largest, worst first."""
        readings, interval = self.source.readings, self.source.interval
        none = np.zeros(0, dtype=np.int64), np.zeros(0)
        if readings is None or not interval or "network_spread" not in readings.columns:
            return none
        spread = readings.columns["network_spread"]
        if not np.isfinite(spread).any():
            return none
        frames = np.rint((readings.time - self.source.start) / interval).astype(np.int64)
        off = np.abs(readings.time - self.source.start - frames * interval)
        # A reading between two frames says nothing about either.
        good = np.isfinite(spread) & (off < 0.01 * interval) & (frames >= 0)
        good &= frames < self.reader.announced
        rows = np.flatnonzero(good)
        worst = rows[np.argsort(-spread[rows], kind="stable")][:_WORST]
        return frames[worst], spread[worst]

    def _contact_table(self) -> tuple[NDArray[np.bool_], tuple[tuple[str, str], ...]]:
        keys = sorted(
            {key for _, found in self.contacts for key in found},
            key=lambda key: (KINDS.index(key[1]), key[0]),
        )
        table = np.zeros((self.done, len(keys)), dtype=bool)
        for first, found in self.contacts:
            for column, key in enumerate(keys):
                if key in found:
                    table[first : first + len(found[key]), column] = found[key]
        receptor = self.subject.receptor
        return table, tuple((receptor[index].label, kind) for index, kind in keys)

    def _observations(self) -> Observations:
        if not self.done:
            raise InputFileError(
                f"{self.source.trajectory}: found no frame that can be read"
                + (f" ({self.reader.problem})" if self.reader.problem else "")
            )
        contacts, labels = self._contact_table()
        square, jackknife = self._fluctuations()
        ligand, readings = self.ligand, self.source.readings or Readings(np.zeros(0), {})
        kept = self.worst < self.done
        return Observations(
            name=self.source.name,
            time=np.concatenate(self.times) if self.has_time else np.arange(float(self.done)),
            has_time=self.has_time,
            series={n: np.concatenate(v).astype(np.float64) for n, v in self.series.items()},
            torsions=(
                np.concatenate(self.torsions)
                if self.torsions
                else np.zeros((self.done, 0), dtype=np.float32)
            ),
            torsion_labels=tuple(t.label for t in ligand.torsions) if ligand else (),
            contacts=contacts,
            contact_labels=labels,
            residues=tuple(residue.label for residue in self.subject.receptor),
            square_fluctuation=square,
            square_jackknife=jackknife,
            b_factors=self._residue_b_factors(),
            reading_time=np.asarray(readings.time, dtype=np.float64),
            readings={n: np.asarray(v, dtype=np.float64) for n, v in readings.columns.items()},
            spread_frames=self.worst[kept],
            spreads=self.spreads[kept],
            view=None if self.viewer is None else self.viewer.view(),
            facts=self._facts(),
        )

    def _facts(self) -> dict[str, object]:
        ligand = self.ligand
        given = self.source.reference is not None
        return {
            "liquid": "",
            "ligand": self.subject.ligand_name,
            "ligand_atoms": len(self.subject.ligand),
            "receptor_residues": len(self.subject.receptor),
            "smiles": "" if ligand is None else ligand.smiles,
            "reference": "the starting structure" if given else "the first frame",
            "contacts": self.finder is not None,
            "water_group": self.settings.water_around or "the ligand",
            "notes": [*self.subject.notes, *(ligand.notes if ligand else ())],
            "problem": self.reader.problem,
            "trajectory": self.source.trajectory.name,
        }

    def _fluctuations(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean square fluctuation of each residue, and without each block."""
        square, jackknife = self.fluctuations.squares()
        starts = np.cumsum([0, *map(len, self.centers)])[:-1].astype(np.int64)
        sizes = np.array([len(center) for center in self.centers], dtype=np.float64)
        if not len(starts):
            return np.zeros(0), np.zeros((0, 0))
        return (
            np.add.reduceat(square, starts) / sizes,
            np.add.reduceat(jackknife, starts, axis=1) / sizes,
        )

    def _residue_b_factors(self) -> NDArray[np.float64]:
        values = self.source.b_factors
        if values is None:
            return np.full(len(self.centers), np.nan)
        chosen = values[self.subject.atoms]
        return np.array([chosen[center].mean() for center in self.centers])

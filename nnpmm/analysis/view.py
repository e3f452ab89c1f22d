"""Frames of the ligand and its surroundings for the 3-D view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnpmm.analysis.observations import View
from nnpmm.analysis.subjects import Subject

__all__ = ["ViewMaker"]

_AROUND = 0.45  # nm from the ligand in the reference, of the residues that are shown
_TRACE_BOND = 0.45  # nm, longest between the CA atoms of neighbours: 0.38 with a trans peptide
_FRAMES = 40
LIGAND, SITE, TRACE = 0, 1, 2


class ViewMaker:
    """Collects some frames.

    Args:
        subject: with a ligand.
        reference: (n, 3) nm.
        n_frames: of the trajectory.
        extra: further frames in addition to those spread evenly.
    """

    def __init__(
        self,
        subject: Subject,
        reference: NDArray[np.float32],
        n_frames: int,
        extra: Sequence[int] = (),
    ) -> None:
        even = np.linspace(0, max(n_frames - 1, 0), min(_FRAMES, max(n_frames, 1)))
        self._chosen = np.unique([*even.astype(np.int64).tolist(), *extra])
        heavy = subject.heavy
        own = reference[subject.ligand_heavy]
        rows, groups, labels = subject.ligand.tolist(), [LIGAND] * len(subject.ligand), []
        polar = _polar_hydrogens(subject)
        for residue in subject.receptor:
            points = reference[residue.rows[heavy[residue.rows]]]
            if not len(points):
                continue
            apart = np.linalg.norm(points[:, None] - own[None], axis=-1)
            if apart.min() < _AROUND:
                labels.append((len(rows), residue.label))
                shown = [r for r in residue.rows.tolist() if heavy[r] or r in polar]
                anchor = int(residue.center[0])
                shown.sort(key=lambda row: row != anchor)
                rows += shown
                groups += [SITE] * len(shown)
        place = {row: n for n, row in enumerate(rows)}
        bonds = [
            (place[i], place[j]) for i, j in subject.bonds.tolist() if i in place and j in place
        ]
        before: int | None = None
        for residue in subject.receptor:
            row = int(residue.center[0])
            if not residue.amino_acid or subject.names[row] != "CA":
                before = None
                continue
            rows.append(row)
            groups.append(TRACE)
            here = len(rows) - 1
            if before is not None:
                gap = np.linalg.norm(reference[rows[before]] - reference[row])
                if gap < _TRACE_BOND:
                    bonds.append((before, here))
            before = here
        self._rows = np.array(rows, dtype=np.int64)
        self._symbols = tuple(subject.symbols[row] for row in rows)
        self._groups = np.array(groups, dtype=np.int64)
        self._bonds = np.array(bonds, dtype=np.int64).reshape(-1, 2)
        self._labels = tuple(labels)
        self._frames: list[int] = []
        self._positions: list[NDArray[np.float32]] = []

    def add(self, first: int, positions: NDArray[np.float32]) -> None:
        """Keep the chosen ones of some frames, positions (f, n, 3) in nm, aligned."""
        last = first + len(positions)
        for frame in self._chosen[(self._chosen >= first) & (self._chosen < last)].tolist():
            self._frames.append(frame)
            self._positions.append(np.array(positions[frame - first, self._rows]))

    def view(self) -> View:
        """Return the frames that were kept."""
        return View(
            self._symbols,
            self._groups,
            self._bonds,
            self._labels,
            np.array(self._frames, dtype=np.int64),
            np.array(self._positions, dtype=np.float32).reshape(-1, len(self._rows), 3),
        )


def _polar_hydrogens(subject: Subject) -> set[int]:
    found = set()
    for pair in subject.bonds.tolist():
        for row, other in (pair, pair[::-1]):
            if subject.symbols[row] == "H" and subject.symbols[other] in ("N", "O"):
                found.add(row)
    return found

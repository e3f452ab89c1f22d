"""The observations of one trajectory, a record of arrays that can be saved to a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.arrays import load_arrays, save_arrays
from nnpmm.core.errors import InputFileError

__all__ = ["FORMAT", "Observations", "View"]

#: Version of the record; it increases with a change of its content or of a definition.
FORMAT = 2


@dataclass(frozen=True, eq=False)
class View:
    """Some frames of the ligand and its surroundings, for the 3-D view.

    Attributes:
        symbols: of the atoms; a hydrogen of the receptor is left out unless it is polar.
        groups: (v,) 0 for the ligand, 1 for residues around it, 2 for the trace of the backbone.
        bonds: (b, 2) rows.
        labels: of residues, each with the row where it is written.
        frames: (k,) indices of the frames.
        positions: (k, v, 3) nm, aligned.
    """

    symbols: tuple[str, ...]
    groups: NDArray[np.int64]
    bonds: NDArray[np.int64]
    labels: tuple[tuple[int, str], ...]
    frames: NDArray[np.int64]
    positions: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Observations:
    """Observations in the n frames of one trajectory.

    Attributes:
        name: of the trajectory.
        time: (n,) ps, or the indices of the frames if the times are not known.
        has_time: whether ``time`` contains times.
        series: values (n,) by name: ``backbone_rmsd``, ``ligand_rmsd`` (as it lies in the aligned
            receptor), ``ligand_internal_rmsd``, ``gyration_radius`` (of the receptor),
            ``ligand_gyration_radius``, all in nm, and ``water``, molecules in the first shell; of a
            liquid ``density`` (g/ml), unless it was logged.
        torsions: (n, t) degrees.
        torsion_labels: names of the four atoms of each.
        contacts: (n, c) whether a contact exists.
        contact_labels: residue and kind of each.
        residues: labels of the receptor's residues.
        square_fluctuation: (r,) <|r - <r>|^2> of each, nm^2.
        square_jackknife: (b, r) the same, leaving out each block of the trajectory in turn.
        b_factors: (r,) angstrom^2, of a crystal structure; nan if missing.
        reading_time: (m,) ps, of the logged values.
        readings: logged values (m,), as in ``Readings``.
        spread_frames: (s,) frames in which the members of the network differ most, worst first.
        spreads: (s,) kJ/mol, its standard deviation there.
        view: frames for the 3-D view; None without a ligand.
        radii: (b,) nm, centres of the bins of the radial distribution functions of a liquid.
        distributions: for each pair of elements the radial distribution function in k blocks of
            frames, (k, b).
        facts: the ligand or the liquid, the reference, whether contacts were searched, notes, and
            why reading ended early.
    """

    name: str
    time: NDArray[np.float64]
    has_time: bool
    series: Mapping[str, NDArray[np.float64]]
    reading_time: NDArray[np.float64]
    readings: Mapping[str, NDArray[np.float64]]
    facts: Mapping[str, Any]
    torsions: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    torsion_labels: tuple[str, ...] = ()
    contacts: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    contact_labels: tuple[tuple[str, str], ...] = ()
    residues: tuple[str, ...] = ()
    square_fluctuation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    square_jackknife: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    b_factors: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    spread_frames: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    spreads: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    view: View | None = None
    radii: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    distributions: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.time)

    def save(self, path: Path) -> None:
        """Write the record to a safetensors file.

        Raises:
            UnwritableError: it cannot be written.
        """
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {f"series.{name}": values for name, values in self.series.items()}
        arrays |= {f"readings.{name}": values for name, values in self.readings.items()}
        arrays |= {f"distributions.{name}": values for name, values in self.distributions.items()}
        record = {
            "format": FORMAT,
            "name": self.name,
            "has_time": self.has_time,
            "torsion_labels": self.torsion_labels,
            "contact_labels": self.contact_labels,
            "residues": self.residues,
            "facts": dict(self.facts),
            "view": None,
        }
        if self.view is not None:
            arrays |= {f"view.{name}": getattr(self.view, name) for name in _VIEW_ARRAYS}
            record["view"] = {"symbols": self.view.symbols, "labels": self.view.labels}
        save_arrays(path, arrays, record)

    @classmethod
    def load(cls, path: Path) -> Observations:
        """Read what ``save`` wrote.

        Raises:
            InputFileError: the file is missing, damaged, or of another version of nnpmm.
        """
        arrays, record = load_arrays(path)
        if record.get("format") != FORMAT:
            raise InputFileError(
                f"{path}: found format {record.get('format')}, but this version reads {FORMAT}; "
                "analyse the trajectory again"
            )
        view = None
        if record["view"] is not None:
            view = View(
                symbols=tuple(record["view"]["symbols"]),
                labels=tuple((int(row), str(text)) for row, text in record["view"]["labels"]),
                **{name: arrays[f"view.{name}"] for name in _VIEW_ARRAYS},
            )
        return cls(
            name=record["name"],
            has_time=record["has_time"],
            torsion_labels=tuple(record["torsion_labels"]),
            contact_labels=tuple((str(a), str(b)) for a, b in record["contact_labels"]),
            residues=tuple(record["residues"]),
            facts=record["facts"],
            series=_part(arrays, "series."),
            readings=_part(arrays, "readings."),
            distributions=_part(arrays, "distributions."),
            view=view,
            **{name: arrays[name] for name in _ARRAYS},
        )


_ARRAYS = (
    "time", "torsions", "contacts", "square_fluctuation", "square_jackknife", "b_factors",
    "reading_time", "spread_frames", "spreads", "radii",
)  # fmt: skip
_VIEW_ARRAYS = ("groups", "bonds", "frames", "positions")


def _part(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }

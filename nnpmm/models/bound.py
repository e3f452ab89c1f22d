"""What the evaluators of all kinds of potentials have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.units import in_md_units
from nnpmm.models.batching import joined_calls
from nnpmm.models.geometry import check_geometry
from nnpmm.models.protocol import (
    BatchEvaluation,
    Energies,
    Evaluation,
    checked_batch,
    checked_box,
    checked_positions,
    one_by_one,
)

__all__ = ["BoundPotential"]


class _Step(NamedTuple):
    """The last step of molecular dynamics: its positions, box and energies."""

    positions: NDArray[np.float64]
    box: Any
    energies: Energies


class BoundPotential(ABC):
    """A potential bound to its atoms; see `nnpmm.models.protocol.Evaluator`.

    Attributes:
        model: the potential.
        atomic_numbers: shape (n,).
        energy_offset: sum of the atomic self energies, kJ/mol, if the energies leave it out.
    """

    model: Any
    atomic_numbers: NDArray[np.int64]
    energy_offset: float = 0.0
    #: Whether atoms may not coincide, as those of molecules do not.
    needs_molecule = True
    #: Whether a periodic box is supported, in which atoms interact with their own images.
    takes_box = True
    _last: _Step | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r}, {len(self.atomic_numbers)} atoms)"

    def __call__(self, positions: Any, box: Any = None) -> tuple[float, NDArray[np.float64]]:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm.

        Args:
            positions: (n, 3) in nm or as a Quantity.
            box: periodic box vectors as rows, (3, 3), in nm or as a Quantity, if the atoms are to
                interact with their own images; without it the region must be whole.

        Raises:
            SimulationError: another shape, a position that is not finite, coincident atoms, or a
                box that the potential does not take.
        """
        return self.evaluate(positions, box)[:2]

    def evaluate(self, positions: Any, box: Any = None) -> Evaluation:
        """Like a call, with the energy of every member of the ensemble at no further cost."""
        array = self._positions(positions)
        if self.needs_molecule:
            check_geometry(array, self._vectors(box))
        return self._evaluate(array, box)

    def at_each_step(
        self, positions: NDArray[np.float64], box: Any = None
    ) -> tuple[float, NDArray[np.float64]]:
        """Like a call, without checks; see `nnpmm.models.protocol.at_each_step`.

        The energies are kept, with the positions they belong to, unless the calls of several
        threads are joined; see `nnpmm.models.batching.JoinedCalls`.
        """
        calls = joined_calls()
        if calls is not None and box is None:
            return calls.evaluate(self, positions)
        copied = positions.copy()  # the caller may reuse its array
        found = self._evaluate(positions, box)
        self._keep(copied, box, found)
        return found.energy, found.forces

    def _keep(self, positions: NDArray[np.float64], box: Any, found: Evaluation) -> None:
        """Keep the energies of a step for `last_energies`."""
        self._last = _Step(positions, box, Energies(found.energy, found.member_energies))

    def last_energies(self, positions: NDArray[np.float64], box: Any = None) -> Energies | None:
        """Return what the last step found; see `nnpmm.models.protocol.last_energies`."""
        last = self._last  # copies of a system share the evaluator, perhaps on other threads
        if last is None or not np.array_equal(last.positions, positions):
            return None
        return last.energies if np.array_equal(last.box, box) else None

    def member_energies(self, positions: Any, box: Any = None) -> NDArray[np.float64]:
        """Return every member's energy, (m,), kJ/mol; their spread is the model's uncertainty."""
        return self.evaluate(positions, box).member_energies

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate many geometries of the region, as for scans and reweighting.

        Args:
            positions: (k, n, 3) in nm or as a Quantity, with the region whole in each geometry.

        Raises:
            SimulationError: another shape, a position that is not finite, or coincident atoms.
        """
        return one_by_one(self, self._geometries(positions))

    @abstractmethod
    def _evaluate(self, positions: NDArray[np.float64], box: Any) -> Evaluation:
        """Evaluate finite positions (n, 3), nm; the box is as the caller gave it."""

    def _vectors(self, box: Any) -> NDArray[np.float64] | None:
        """Return box vectors as an array. Each potential checks them against its own range."""
        return None if box is None else checked_box(in_md_units(box, unit.nanometer), 0.0)

    def _positions(self, positions: Any) -> NDArray[np.float64]:
        return checked_positions(in_md_units(positions, unit.nanometer), len(self.atomic_numbers))

    def _geometries(self, positions: Any) -> NDArray[np.float64]:
        return checked_batch(in_md_units(positions, unit.nanometer), len(self.atomic_numbers))

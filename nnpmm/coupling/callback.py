"""The bridge from OpenMM's PythonForce to an evaluator."""

from __future__ import annotations

import functools
import logging
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError
from nnpmm.core.geometry import WholeRegion
from nnpmm.models.protocol import Evaluator, at_each_step, refuse_non_finite

__all__ = [
    "NON_FINITE_ENERGY",
    "BoxCallback",
    "RegionCallback",
    "callback_of",
    "check_span",
    "log_failures",
    "require_finite",
    "spans_less_than_half",
]

NON_FINITE_ENERGY = "the network returned a non-finite energy; use a smaller time step"
_log = logging.getLogger(__name__)

EnergyAndForces = tuple[float, NDArray[np.float64]]


def log_failures(call: Callable[..., EnergyAndForces]) -> Callable[..., EnergyAndForces]:
    """Write the traceback of an exception to the log, because OpenMM passes on only its text."""

    @functools.wraps(call)
    def logged(*arguments: Any) -> EnergyAndForces:
        try:
            return call(*arguments)
        except Exception:
            _log.debug("evaluation of the network failed", exc_info=True)
            raise

    return logged


class RegionCallback:
    """Called by OpenMM with the State of the region's atoms; returns energy and forces.

    Args:
        evaluator: the potential bound to the region's atoms.
        bonds: pairs of row numbers within the region, (m, 2).
        periodic: the system has a periodic box.
        exact_to_half_box: refuse a region that spans half the box or more. Nearest images change
            there, and with them the pairs removed from an Ewald sum, or the arrangement of several
            molecules.
        weight: name of a global parameter that multiplies energy and forces; at zero the network
            is not called.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        bonds: NDArray[np.int64],
        *,
        periodic: bool,
        exact_to_half_box: bool,
        weight: str | None = None,
    ) -> None:
        self.evaluator = evaluator
        self.bonds = bonds
        self.periodic = periodic
        self.exact_to_half_box = exact_to_half_box
        self.weight = weight
        self._evaluate = at_each_step(evaluator)
        self._join = WholeRegion(len(evaluator.atomic_numbers), bonds)

    @log_failures
    def __call__(self, state: openmm.State) -> EnergyAndForces:
        """Return the energy (kJ/mol) and forces (n, 3) in kJ/mol/nm on the region's atoms."""
        positions = state.getPositions(asNumpy=True)._value
        weight = 1.0 if self.weight is None else state.getParameters()[self.weight]
        if weight == 0:
            return 0.0, np.zeros_like(positions)
        box = state.getPeriodicBoxVectors(asNumpy=True)._value if self.periodic else None
        energy, forces = require_finite(*self._evaluate(self.make_whole(positions, box)))
        return weight * energy, weight * forces

    def make_whole(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the positions of a region that the boundary may have split, (n, 3).

        Args:
            positions: (n, 3), nm.
            box: periodic box vectors as rows, (3, 3), nm, or None.

        Raises:
            SimulationError: a position is not finite, or the region is too wide for the box.
        """
        if box is not None:
            if spans_less_than_half(positions, box):
                return positions
            return self._joined(positions, box)
        refuse_non_finite(positions)
        return positions

    def _joined(
        self, positions: NDArray[np.float64], box: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the positions of a region that the boundary has split, (n, 3)."""
        # An atom at NaN has no neighbours, so the network would return a finite energy.
        refuse_non_finite(positions)
        positions = self._join(positions, box)
        if self.exact_to_half_box:
            check_span(positions, box, self._join.n_molecules)
        return positions

    def __reduce__(self) -> tuple[Any, ...]:
        settings = (self.periodic, self.exact_to_half_box, self.weight)
        return (_rebuild, (self.evaluator, self.bonds, *settings))


class BoxCallback:
    """Called by OpenMM with the State of a periodic system that the network describes completely.

    Atoms interact with periodic images, so the network receives the current box, and molecules may
    be split by the boundary.

    Args:
        evaluator: the potential bound to all atoms of the system.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._evaluate = at_each_step(evaluator)

    def __reduce__(self) -> tuple[Any, ...]:
        return (BoxCallback, (self.evaluator,))

    @log_failures
    def __call__(self, state: openmm.State) -> EnergyAndForces:
        """Return the energy (kJ/mol) and forces (n, 3) in kJ/mol/nm on all atoms."""
        positions = state.getPositions(asNumpy=True)._value
        refuse_non_finite(positions)
        box = state.getPeriodicBoxVectors(asNumpy=True)._value
        return require_finite(*self._evaluate(positions, box))


def callback_of(force: openmm.PythonForce) -> Any:
    """Return a copy of the function that a PythonForce calls.

    OpenMM gives access to it only as a pickle in its XML. The pickle comes from this process, so
    that loading it is safe.

    Args:
        force: of a System that this process has made.
    """
    text = openmm.XmlSerializer.serialize(force)
    match = re.search(r'\bfunction="([0-9a-f]*)"', text)
    assert match is not None
    return pickle.loads(bytes.fromhex(match.group(1)))


def require_finite(energy: float, forces: NDArray[np.float64]) -> EnergyAndForces:
    """Return the network's energy and forces unchanged.

    Raises:
        SimulationError: the energy is not finite.
    """
    if not math.isfinite(energy):
        raise SimulationError(NON_FINITE_ENERGY)
    return energy, forces


def spans_less_than_half(positions: NDArray[np.float64], box: NDArray[np.float64]) -> bool:
    """Return whether a region spans less than half the box in every direction.

    If so, its coordinates are finite, its atoms are at their nearest images, and it is not too wide
    for the box: in almost every step, this one test replaces three.
    """
    span = positions.max(axis=0) - positions.min(axis=0)
    return bool((span < 0.5 * box.diagonal()).all())


def check_span(
    positions: NDArray[np.float64], box: NDArray[np.float64], n_molecules: int = 1
) -> None:
    """Check that a region (n, 3) is less than half as wide as its box (3, 3), both in nm.

    Args:
        positions: of the region's atoms.
        box: periodic box vectors as rows.
        n_molecules: number of molecules in the region, for the message.

    Raises:
        SimulationError: it is wider.
    """
    span = np.ptp(positions, axis=0) / np.diag(box)
    if (span >= 0.5).any():
        raise SimulationError(
            f"the region spans {span.max():.0%} of the periodic box, allowed: less than 50%; "
            + (
                "use a larger box"
                if n_molecules == 1
                else f"it consists of {n_molecules} molecules, which move apart in a larger box as "
                "well: select one of them (resid), or couple each as a separate region in Python"
            )
        )


def _rebuild(
    evaluator: Evaluator,
    bonds: NDArray[np.int64],
    periodic: bool,
    exact_to_half_box: bool,
    weight: str | None,
) -> RegionCallback:
    return RegionCallback(
        evaluator, bonds, periodic=periodic, exact_to_half_box=exact_to_half_box, weight=weight
    )

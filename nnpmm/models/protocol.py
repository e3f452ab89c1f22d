"""What a potential must offer so that the coupling, the runner and the estimators can use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnpmm.errors import SimulationError

__all__ = ["Evaluation", "Evaluator", "Potential", "checked_positions"]


class Evaluation(NamedTuple):
    """Energy (kJ/mol), forces (n, 3) in kJ/mol/nm, and member energies (m,) in kJ/mol."""

    energy: float
    forces: NDArray[np.float64]
    member_energies: NDArray[np.float64]


@runtime_checkable
class Evaluator(Protocol):
    """A potential bound to a fixed composition. It can be pickled and copied."""

    @property
    def atomic_numbers(self) -> NDArray[np.int64]:
        """Atomic numbers, shape (n,)."""

    @property
    def energy_offset(self) -> float:
        """Sum of the atomic self energies in kJ/mol; not part of the energies returned."""

    def __call__(self, positions: Any) -> tuple[float, NDArray[np.float64]]:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm at positions (n, 3) in nm."""

    def evaluate(self, positions: Any) -> Evaluation:
        """Like a call, with the energy of every member of the ensemble."""

    def member_energies(self, positions: Any) -> NDArray[np.float64]:
        """Return the energy of every member of the ensemble, shape (m,), kJ/mol."""


@runtime_checkable
class Potential(Protocol):
    """A potential that is not yet bound to atoms."""

    @property
    def name(self) -> str:
        """Name for messages and logs."""

    @property
    def elements(self) -> tuple[str, ...] | None:
        """Chemical symbols that the potential knows; None if any."""

    @property
    def neutral_only(self) -> bool:
        """True if the potential describes neutral molecules only."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Name, members, backend and origin of the weights, for the record of a run."""

    def bind(self, atomic_numbers: Sequence[int] | NDArray[np.int64]) -> Evaluator:
        """Fix the composition and precompute what depends on it alone."""


def checked_positions(positions: ArrayLike, n_atoms: int) -> NDArray[np.float64]:
    """Return positions as a float64 array (n_atoms, 3).

    Raises:
        SimulationError: the shape differs, or a coordinate is not finite.
    """
    array = np.ascontiguousarray(positions, dtype=np.float64)
    if array.shape != (n_atoms, 3):
        raise SimulationError(f"found positions of shape {array.shape}, expected ({n_atoms}, 3)")
    if not np.isfinite(array).all():
        atom = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise SimulationError(
            f"found a non-finite position of region atom {atom}; the simulation has blown up: "
            "minimise further or take a smaller time step"
        )
    return array

"""The interface of a potential for the coupling, the runner and the estimators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnpmm.core.errors import SimulationError

if TYPE_CHECKING:
    import torch

__all__ = [
    "BatchEvaluation",
    "Energies",
    "Evaluation",
    "Evaluator",
    "Potential",
    "ScriptableEvaluator",
    "TensorEvaluator",
    "at_each_step",
    "checked_batch",
    "checked_box",
    "checked_positions",
    "last_energies",
    "one_by_one",
    "refuse_non_finite",
]


class Evaluation(NamedTuple):
    """Energy (kJ/mol), forces (n, 3) in kJ/mol/nm, and member energies (m,) in kJ/mol."""

    energy: float
    forces: NDArray[np.float64]
    member_energies: NDArray[np.float64]


class Energies(NamedTuple):
    """Energy and member energies (m,), kJ/mol."""

    energy: float
    member_energies: NDArray[np.float64]


class BatchEvaluation(NamedTuple):
    """Of k geometries: energies (k,), forces (k, n, 3), member energies (k, m); kJ/mol and nm."""

    energies: NDArray[np.float64]
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

    def __call__(self, positions: Any, box: Any = None) -> tuple[float, NDArray[np.float64]]:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm.

        Args:
            positions: (n, 3) in nm.
            box: periodic box vectors as rows, (3, 3), in nm, if the atoms interact with their
                images; without it the positions are those of a whole molecule in vacuum.
        """

    def evaluate(self, positions: Any, box: Any = None) -> Evaluation:
        """Like a call, with the energy of every member of the ensemble."""

    def member_energies(self, positions: Any, box: Any = None) -> NDArray[np.float64]:
        """Return the energy of every member of the ensemble, shape (m,), kJ/mol."""

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate many geometries of the same molecule, positions (k, n, 3) in nm, in one go."""


@runtime_checkable
class ScriptableEvaluator(Evaluator, Protocol):
    """An evaluator that also exists as a torch module, which TorchScript can compile."""

    def torch_module(self) -> torch.nn.Module:
        """Return a module from positions (n, 3) in nm, float64, to the energy, a kJ/mol scalar."""


@runtime_checkable
class TensorEvaluator(Evaluator, Protocol):
    """An evaluator that also takes and returns torch tensors, which may stay on a GPU."""

    def evaluate_tensors(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy (kJ/mol, a scalar) and forces (n, 3) in kJ/mol/nm.

        Args:
            positions: (n, 3) in nm, of any floating type and device, of whole molecules.
        """


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

    def bind(self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0) -> Evaluator:
        """Fix the composition and precompute what depends on it alone.

        Args:
            atomic_numbers: shape (n,).
            charge: total charge, e; a potential for neutral molecules only refuses any but 0.
        """


def at_each_step(evaluator: Evaluator) -> Callable[..., tuple[float, NDArray[np.float64]]]:
    """Return the evaluator's ``at_each_step`` if it has one, else the evaluator.

    It does not check its arguments: positions are a finite float64 array (n, 3) in nm, of whole
    molecules. The caller checks them with `refuse_non_finite`.
    """
    found: Callable[..., tuple[float, NDArray[np.float64]]]
    found = getattr(evaluator, "at_each_step", evaluator)
    return found


def last_energies(
    evaluator: Evaluator, positions: NDArray[np.float64], box: NDArray[np.float64] | None = None
) -> Energies | None:
    """Return the energies of the last step, if it was at exactly these positions and in this box.

    Return None if it was not, as after a trial move of a barostat, or if the evaluator does not
    store its last step. Only steps through the transport ``"python"`` are stored.

    Args:
        evaluator: that molecular dynamics calls, by `at_each_step`.
        positions: (n, 3), nm.
        box: rows, (3, 3), nm, if it is called with a box.
    """
    find = getattr(evaluator, "last_energies", None)
    found: Energies | None = None if find is None else find(positions, box)
    return found


def checked_positions(positions: ArrayLike, n_atoms: int) -> NDArray[np.float64]:
    """Return positions as a float64 array (n_atoms, 3).

    Raises:
        SimulationError: the shape differs, or a coordinate is not finite.
    """
    array = np.ascontiguousarray(positions, dtype=np.float64)
    if array.shape != (n_atoms, 3):
        raise SimulationError(f"found positions of shape {array.shape}, expected ({n_atoms}, 3)")
    refuse_non_finite(array)
    return array


def checked_batch(positions: ArrayLike, n_atoms: int) -> NDArray[np.float64]:
    """Return the positions of k geometries as a float64 array (k, n_atoms, 3).

    Raises:
        SimulationError: the shape differs, there is no geometry, or a coordinate is not finite.
    """
    array = np.ascontiguousarray(positions, dtype=np.float64)
    if array.ndim != 3 or array.shape[1:] != (n_atoms, 3) or len(array) == 0:
        raise SimulationError(
            f"found positions of shape {array.shape}, expected (k, {n_atoms}, 3), k > 0"
        )
    refuse_non_finite(array)
    return array


def checked_box(box: ArrayLike, cutoff: float) -> NDArray[np.float64]:
    """Return box vectors as a float64 array (3, 3) in OpenMM's reduced form.

    Args:
        box: rows are the vectors, nm.
        cutoff: range of the potential, nm.

    Raises:
        SimulationError: another shape, not reduced, or so small that an atom would meet two images
            of another.
    """
    array = np.ascontiguousarray(box, dtype=np.float64)
    if array.shape != (3, 3) or not np.isfinite(array).all():
        raise SimulationError(f"found a box of shape {array.shape}, expected finite numbers (3, 3)")
    widths = np.diag(array)
    lower = np.abs(array[[1, 2, 2], [0, 0, 1]])
    reduced = not np.triu(array, 1).any() and (lower <= 0.5000001 * widths[[0, 0, 1]]).all()
    if not reduced:
        raise SimulationError(
            f"found the box vectors {array.tolist()}, expected OpenMM's reduced form: lower "
            "triangular, with off-diagonal lengths of at most half the diagonal ones"
        )
    if (widths < 2 * cutoff).any():
        raise SimulationError(
            f"found a periodic box {widths.min():.3f} nm wide, allowed: twice the range of "
            f"the network, {2 * cutoff:.3f} nm, or more; use a larger box"
        )
    return array


class _EvaluatesOne(Protocol):
    def evaluate(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> Evaluation: ...


def one_by_one(kernel: _EvaluatesOne, positions: NDArray[np.float64]) -> BatchEvaluation:
    """Evaluate geometries (k, n, 3) one after the other, for kernels without a faster way."""
    energies, forces, members = zip(
        *(kernel.evaluate(geometry, None) for geometry in positions), strict=True
    )
    return BatchEvaluation(np.array(energies), np.array(forces), np.array(members))


def refuse_non_finite(array: NDArray[np.float64]) -> None:
    """Check that positions, (..., n, 3), are finite.

    Raises:
        SimulationError: one is not; the message names its atom.
    """
    # A sum is several times faster than a test of every coordinate, and this runs at every step.
    if np.isfinite(array.sum()) or np.isfinite(array).all():
        return
    atom = int(np.argwhere(~np.isfinite(array).all(axis=-1))[0][-1])
    raise SimulationError(
        f"found a non-finite position of region atom {atom}; the simulation has blown up: "
        "minimise further or use a smaller time step"
    )

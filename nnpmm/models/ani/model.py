"""ANI as a potential: a model that is bound to a composition and then evaluated."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from openmm import unit
from openmm.app import Element

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.core.errors import ModelError, RegionError
from nnpmm.core.units import in_md_units
from nnpmm.models.ani.backends import BACKENDS, Kernel, TensorKernel
from nnpmm.models.ani.first_use import first_kernel, trusted_kernel
from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.bound import BoundPotential
from nnpmm.models.composition import known_symbols
from nnpmm.models.ensemble_model import EnsembleModel
from nnpmm.models.geometry import check_geometry
from nnpmm.models.in_process import recall, remember
from nnpmm.models.local import LocalPotential
from nnpmm.models.protocol import BatchEvaluation, Evaluation, checked_box

if TYPE_CHECKING:
    import torch

__all__ = ["AniEvaluator", "AniModel"]


@dataclass(frozen=True, repr=False)
class AniModel(EnsembleModel):
    """An ANI ensemble with a chosen backend, device and precision.

    Usually created by `nnpmm.load_model`. Energies do not include the atomic self energies.
    `nnpmm.models.ensemble_model.EnsembleModel` describes the arguments and errors, and
    `nnpmm.models.ani.backends.BACKENDS` names the backends.
    """

    parameters: AniParameters
    backends = BACKENDS
    neutral_only = True

    def bind(
        self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0
    ) -> AniEvaluator:
        """Fix the composition and precompute all that depends on it alone.

        Args:
            atomic_numbers: shape (n,).
            charge: total charge, e; zero is all that ANI describes.

        Raises:
            RegionError: no atoms, an element that the model does not know, or a charge.
        """
        if charge != 0:
            raise RegionError(
                f"found a charge of {charge:+d} e, but {self.name} describes only neutral "
                "molecules; use a model that takes charges"
            )
        return AniEvaluator(self, np.asarray(atomic_numbers, dtype=np.int64))

    def local(self, elements: Collection[str]) -> LocalPotential:
        """Return the model for part of a system; see `nnpmm.models.local.local_potential`.

        Args:
            elements: chemical symbols of all atoms that will occur.

        Raises:
            RegionError: an element that the model does not know.
            ModelError: a backend that cannot evaluate part of a system.
        """
        from nnpmm.models.ani.local import LocalAni
        from nnpmm.models.ani.local_reference import LocalAniReference

        numbers = [Element.getBySymbol(symbol).atomic_number for symbol in sorted(elements)]
        known_symbols(np.array(numbers), self.elements, self.name)
        if self.backend == "reference":
            return LocalAniReference(self.parameters, elements, self.precision)
        if self.backend == "cpu":
            return LocalAni(self.parameters, elements, self.precision, self.threads)
        if self.backend == "triton":
            from nnpmm.models.ani.triton.local import LocalTriton

            return LocalTriton(self.parameters, elements, self.device, self.precision)
        raise ModelError(
            f"found the backend {self.backend!r}, allowed for part of a system: cpu, triton, "
            "reference; use one of them"
        )


class AniEvaluator(BoundPotential):
    """An ANI model bound to a composition; see `nnpmm.models.protocol.Evaluator`."""

    model: AniModel

    def __init__(self, model: AniModel, atomic_numbers: NDArray[np.int64]) -> None:
        symbols = known_symbols(atomic_numbers, model.elements, model.name)
        self.model = model
        self.atomic_numbers = atomic_numbers
        self.energy_offset = HARTREE_TO_KJ_PER_MOL * sum(
            model.parameters.self_energies[symbol] for symbol in symbols
        )
        self._symbols = symbols
        self._lock = threading.RLock()  # copies of a System share this evaluator
        self._kernel: Kernel
        self.backend, self._kernel = first_kernel(model, symbols)
        self._to_compare = BACKENDS[self.backend].compared

    def member_energies(self, positions: Any, box: Any = None) -> NDArray[np.float64]:
        """Return every member's energy, (m,), kJ/mol; their spread is the model's uncertainty."""
        array, vectors = self._positions(positions), self._box(box)
        check_geometry(array, vectors)
        with self._lock:
            return self._compared(array, vectors).member_energies(array, vectors)

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate many geometries (k, n, 3) of the region, nm or a Quantity, in one go."""
        array = self._geometries(positions)
        for geometry in array:
            check_geometry(geometry)
        with self._lock:
            return self._compared(array[0], None).batch(array)

    def evaluate_tensors(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy, a scalar, and forces (n, 3) as tensors, in kJ/mol and nm.

        Args:
            positions: (n, 3) in nm, whole, of any floating type and device. They stay there if the
                backend can read them; else it is given a copy in host memory.

        Returns:
            Both on the device of the positions.
        """
        import torch

        if self._to_compare:
            self._compared(self._positions(positions.detach().cpu().numpy()), None)
        if isinstance(self._kernel, TensorKernel):
            with self._lock:
                return self._kernel.evaluate_tensors(positions)
        array = self._positions(positions.detach().cpu().numpy())
        energy, forces = self.at_each_step(array)
        device = positions.device
        return (
            torch.tensor(energy, dtype=torch.float64, device=device),
            torch.from_numpy(forces).to(device),
        )

    def torch_module(self) -> torch.nn.Module:
        """Return a module from whole positions (n, 3) in nm to the energy, for TorchScript.

        Its code is that of the ``reference`` backend, whatever the backend of the evaluator.
        """
        from nnpmm.models.ani.torchscript import energy_module

        return energy_module(self.model.parameters, self._symbols, self.model.precision)

    def _evaluate(self, positions: NDArray[np.float64], box: Any) -> Evaluation:
        vectors = self._box(box)
        with self._lock:
            return self._compared(positions, vectors).evaluate(positions, vectors)

    def _compared(self, positions: NDArray[np.float64], box: NDArray[np.float64] | None) -> Kernel:
        """Return the kernel; the first positions show whether it can be used."""
        if self._to_compare:
            with self._lock:
                choice = (self.backend, self._kernel)
                choice = trusted_kernel(self.model, self._symbols, choice, positions, box)
                self.backend, self._kernel = choice
                self._to_compare = False
        return self._kernel

    def _box(self, box: Any) -> NDArray[np.float64] | None:
        if box is None:
            return None
        cutoff = self.model.parameters.symmetry_functions.radial_cutoff / 10
        return checked_box(in_md_units(box, unit.nanometer), cutoff)

    def __reduce__(self) -> tuple[Any, ...]:
        model = self.model
        choices = (model.requested, model.device, model.precision, model.threads)
        content = (model.parameters.digest(), self.atomic_numbers.tolist(), choices, model.source)
        key = hashlib.sha256(repr(content).encode()).hexdigest()
        remember(key, self)
        return (_restore_evaluator, (key, model, self.atomic_numbers))


def _restore_evaluator(
    key: str, model: AniModel, atomic_numbers: NDArray[np.int64]
) -> AniEvaluator:
    found = recall(key)
    return AniEvaluator(model, atomic_numbers) if found is None else found

"""AIMNet2 as a potential: a model that is bound to a composition and a charge, then evaluated."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import EV_TO_KJ_PER_MOL
from nnpmm.core.errors import RegionError, SimulationError
from nnpmm.models.aimnet.backends import BACKENDS, Kernel
from nnpmm.models.aimnet.first_use import trusted_kernel
from nnpmm.models.aimnet.parameters import AimnetParameters
from nnpmm.models.bound import BoundPotential
from nnpmm.models.composition import known_symbols
from nnpmm.models.ensemble_model import EnsembleModel
from nnpmm.models.geometry import check_geometry
from nnpmm.models.in_process import recall, remember
from nnpmm.models.protocol import BatchEvaluation, Evaluation

if TYPE_CHECKING:
    import torch

__all__ = ["AimnetEvaluator", "AimnetModel"]


@dataclass(frozen=True, repr=False)
class AimnetModel(EnsembleModel):
    """An AIMNet2 ensemble with a chosen device and precision.

    Usually created by `nnpmm.load_model`. The energy is that of the region's atoms in vacuum: the
    networks' short range, the Coulomb energy of the charges that they predict, and D3 dispersion.
    The last two act between all atoms of the region, even of different molecules. Energies do not
    include the atomic self energies. `nnpmm.models.ensemble_model.EnsembleModel` describes the
    arguments and errors, and `nnpmm.models.aimnet.backends.BACKENDS` names the backends.
    """

    parameters: AimnetParameters
    backends = BACKENDS
    neutral_only = False  # the total charge is part of what the networks are given

    def bind(
        self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0
    ) -> AimnetEvaluator:
        """Fix composition and charge and precompute all that depends on them alone.

        Args:
            atomic_numbers: shape (n,).
            charge: total charge of all atoms, e. The networks describe closed shells: the number of
                electrons is even.

        Raises:
            RegionError: no atoms, an element that the model does not know, or an odd number of
                electrons.
        """
        return AimnetEvaluator(self, np.asarray(atomic_numbers, dtype=np.int64), int(charge))


class AimnetEvaluator(BoundPotential):
    """An AIMNet2 model bound to atoms and a charge; see `nnpmm.models.protocol.Evaluator`.

    Attributes:
        charge: total charge, e.
        backend: name of the implementation. It differs from the model's if the first positions show
            that the one that ``auto`` chose cannot be used.
    """

    model: AimnetModel
    takes_box = False

    def __init__(
        self, model: AimnetModel, atomic_numbers: NDArray[np.int64], charge: int = 0
    ) -> None:
        symbols = known_symbols(atomic_numbers, model.elements, model.name)
        _require_closed_shell(int(atomic_numbers.sum()), charge, model.name)
        self.model = model
        self.atomic_numbers = atomic_numbers
        self.charge = charge
        self.energy_offset = EV_TO_KJ_PER_MOL * sum(
            model.parameters.self_energies[symbol] for symbol in symbols
        )
        self._symbols = symbols
        self._lock = threading.RLock()  # copies of a System share this evaluator
        self.backend = model.backend
        self._kernel: Kernel = BACKENDS[model.backend].factory(
            model.parameters, symbols, charge, model.device, model.precision, model.threads
        )
        self._to_compare = BACKENDS[model.backend].compared

    def member_energies(self, positions: Any, box: Any = None) -> NDArray[np.float64]:
        """Return every member's energy, (m,), kJ/mol; their spread is the model's uncertainty."""
        array = self._checked(positions, box)
        with self._lock:
            return self._compared(array).member_energies(array)

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate many geometries (k, n, 3) of the region, nm or a Quantity, in one go."""
        array = self._geometries(positions)
        for geometry in array:
            check_geometry(geometry)
        with self._lock:
            return self._compared(array[0]).batch(array)

    def charges(self, positions: Any) -> NDArray[np.float64]:
        """Return the atoms' charges, (n,), e: the mean over the members.

        Their sum is the total charge, except for about a millionth of the charge that the networks
        redistribute. `charge_tensors` gives their derivatives.

        Args:
            positions: (n, 3) in nm or as a Quantity.

        Raises:
            SimulationError: another shape, a position that is not finite, or coincident atoms.
        """
        array = self._checked(positions, None)
        with self._lock:
            return self._compared(array).charges(array)

    def charge_tensors(self, positions: torch.Tensor) -> torch.Tensor:
        """Return the mean charges (n,), e, as a tensor that autograd differentiates.

        The force of a field phi (n,) on the charges, kJ/mol/e, is minus the gradient of
        ``(phi * charge_tensors(x)).sum()``; ``torch.autograd.functional.jacobian`` gives all
        derivatives, (n, n, 3), e/nm. Only the backend ``reference`` has second derivatives.

        Args:
            positions: (n, 3) in nm, of any floating type and device.

        Returns:
            (n,), float64, on the device of the positions.
        """
        with self._lock:
            kernel = self._compared(positions)
            return kernel.charge_tensors(positions).to(positions.device)

    def in_potential(
        self, positions: NDArray[np.float64], potentials: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Evaluate the molecule in an electrostatic potential that acts on its charges, in one go.

        Nothing is checked: this is for each step of a simulation.

        Args:
            positions: (n, 3), nm, whole.
            potentials: of the surroundings at the atoms, (n,), kJ/mol/e.

        Returns:
            The energy without the potential, kJ/mol; minus the gradient of the energy plus the sum
            of charges times potentials, which are fixed, (n, 3), kJ/mol/nm; the charges, (n,), e.
        """
        copied = positions.copy()
        with self._lock:
            found, charges = self._compared(positions).in_potential(positions, potentials)
        self._keep(copied, None, found)
        return found.energy, found.forces, charges

    def evaluate_tensors(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy, a scalar, and forces (n, 3) as tensors, in kJ/mol and nm.

        Args:
            positions: (n, 3) in nm, whole, of any floating type and device.

        Returns:
            Both on the device of the positions.
        """
        with self._lock:
            energy, forces = self._compared(positions).evaluate_tensors(positions)
        return energy.to(positions.device), forces.to(positions.device)

    def torch_module(self) -> torch.nn.Module:
        """Return a module from whole positions (n, 3) in nm to the energy, for TorchScript."""
        from nnpmm.models.aimnet.torchscript import energy_module

        model = self.model
        return energy_module(model.parameters, self._symbols, self.charge, model.precision)

    def _evaluate(self, positions: NDArray[np.float64], box: Any) -> Evaluation:
        if box is not None:
            self._refuse_box()
        with self._lock:
            return self._compared(positions).evaluate(positions)

    def _compared(self, positions: NDArray[np.float64] | torch.Tensor) -> Kernel:
        """Return the kernel; the first positions (n, 3), nm, show whether it can be used."""
        if self._to_compare:
            if not isinstance(positions, np.ndarray):
                positions = positions.detach().cpu().numpy().astype(np.float64)
            choice = trusted_kernel(self.model, self._symbols, self.charge, self._kernel, positions)
            self.backend, self._kernel = choice
            self._to_compare = False
        return self._kernel

    def _checked(self, positions: Any, box: Any) -> NDArray[np.float64]:
        if box is not None:
            self._refuse_box()
        array = self._positions(positions)
        check_geometry(array)
        return array

    def _refuse_box(self) -> None:
        raise SimulationError(
            f"found a periodic box, but {self.model.name} describes molecules without periodic "
            "images: its Coulomb and dispersion energies have no cutoff; leave out the box, or "
            "describe the molecules as a region in a force field"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        model = self.model
        choices = (model.requested, model.device, model.precision, model.threads)
        content = (
            *(model.parameters.digest(), self.atomic_numbers.tolist(), self.charge),
            *(choices, model.source),
        )
        key = hashlib.sha256(repr(content).encode()).hexdigest()
        remember(key, self)
        return (_restore_evaluator, (key, model, self.atomic_numbers, self.charge))


def _require_closed_shell(protons: int, charge: int, name: str) -> None:
    electrons = protons - charge
    if electrons % 2:
        stated = f"{charge:+d}" if charge else "0"
        raise RegionError(
            f"found {electrons} electrons with a charge of {stated} e, but {name} describes closed "
            "shells, which have an even number; give the right charge, or check the hydrogens"
        )


def _restore_evaluator(
    key: str, model: AimnetModel, atomic_numbers: NDArray[np.int64], charge: int
) -> AimnetEvaluator:
    found = recall(key)
    return AimnetEvaluator(model, atomic_numbers, charge) if found is None else found

"""ANI as a potential: a model that is bound to a composition and then evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from openmm import unit
from openmm.app import Element

from nnpmm.errors import ModelError, RegionError
from nnpmm.models.ani.backends import (
    BACKENDS,
    Kernel,
    TensorKernel,
    choose_backend,
)
from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.ani.threads import thread_count
from nnpmm.models.ani.torchscript import energy_module
from nnpmm.models.protocol import (
    BatchEvaluation,
    Evaluation,
    checked_batch,
    checked_box,
    checked_positions,
)
from nnpmm.units import HARTREE_TO_KJ_PER_MOL, in_md_units

__all__ = ["AniEvaluator", "AniModel"]


@dataclass(frozen=True)
class AniModel:
    """An ANI ensemble with a chosen backend, device and precision.

    Usually made by `nnpmm.load_model`. Energies leave out the atomic self energies.

    Args:
        parameters: constants, networks and self energies.
        backend: ``"auto"`` or a name in `nnpmm.models.ani.backends.BACKENDS`.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
        precision: ``"single"``, or ``"double"`` for checks.
        threads: of the CPU; None leaves it to the backend (see `nnpmm.models.ani.threads`).
        source: where the weights came from.
        rebuild: a picklable function and its arguments that make this model again; without it the
            model cannot be pickled, and so neither a System that holds it.

    Raises:
        ModelError: no such backend, device or precision.
        OptionalDependencyError: the backend's package is missing.
    """

    parameters: AniParameters = field(repr=False)
    backend: str = "auto"
    device: str = "auto"
    precision: str = "single"
    threads: int | None = None
    source: str = "parameters given in Python"
    rebuild: tuple[Callable[..., Any], tuple[Any, ...]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        backend, device = choose_backend(self.backend, self.device)
        object.__setattr__(self, "backend", backend)
        object.__setattr__(self, "device", device)
        if self.threads is not None:
            thread_count(self.threads)
        allowed = BACKENDS[self.backend].precisions
        if self.precision not in allowed:
            raise ModelError(
                f"found the precision {self.precision!r}, the backend {self.backend!r} allows: "
                f"{', '.join(allowed)}; take one of these or another backend"
            )

    def __repr__(self) -> str:
        count = len(self.parameters.members)
        networks = "1 network" if count == 1 else f"{count} networks"
        return (
            f"AniModel({self.name!r}, {networks}, backend={self.backend!r}, "
            f"device={self.device!r}, precision={self.precision!r})"
        )

    @property
    def name(self) -> str:
        """The published name, for example ``"ANI-2x"``."""
        return self.parameters.name

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols that the networks know."""
        return self.parameters.elements

    @property
    def neutral_only(self) -> bool:
        """True: ANI was trained on neutral molecules and sees no charge."""
        return True

    @property
    def provenance(self) -> dict[str, Any]:
        """What to write down to make this model again."""
        return {
            "model": self.name,
            "members": list(self.parameters.member_indices),
            "backend": self.backend,
            "device": self.device,
            "precision": self.precision,
            "weights": self.source,
            "digest": self.parameters.digest(),
        }

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
                f"found a charge of {charge:+d} e, {self.name} describes neutral molecules only; "
                "take a model that knows charges"
            )
        return AniEvaluator(self, np.asarray(atomic_numbers, dtype=np.int64))

    def __reduce__(self) -> tuple[Any, ...]:
        if self.rebuild is None:
            raise TypeError(
                "this AniModel was made from parameters in memory and cannot be pickled"
            )
        return self.rebuild


class AniEvaluator:
    """An ANI model bound to a composition; see `nnpmm.models.protocol.Evaluator`."""

    def __init__(self, model: AniModel, atomic_numbers: NDArray[np.int64]) -> None:
        symbols = _known_symbols(atomic_numbers, model)
        self.model = model
        self.atomic_numbers = atomic_numbers
        self.energy_offset = HARTREE_TO_KJ_PER_MOL * sum(
            model.parameters.self_energies[symbol] for symbol in symbols
        )
        self._kernel: Kernel = BACKENDS[model.backend].factory(
            model.parameters, symbols, model.device, model.precision, model.threads
        )

    def __repr__(self) -> str:
        return f"AniEvaluator({self.model!r}, {len(self.atomic_numbers)} atoms)"

    def __call__(self, positions: Any, box: Any = None) -> tuple[float, NDArray[np.float64]]:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm.

        Args:
            positions: (n, 3) in nm or as a Quantity.
            box: periodic box vectors as rows, (3, 3), in nm or as a Quantity, if the atoms are to
                meet their own images; without it the region must be whole.

        Raises:
            SimulationError: another shape, a position that is not finite, or a box narrower than
                twice the radial cutoff.
        """
        return self.evaluate(positions, box)[:2]

    def evaluate(self, positions: Any, box: Any = None) -> Evaluation:
        """Return energy, forces and the energy of every member at no further cost."""
        return self._kernel.evaluate(self._positions(positions), self._box(box))

    def member_energies(self, positions: Any, box: Any = None) -> NDArray[np.float64]:
        """Return every member's energy, (m,), kJ/mol; their spread is the model's uncertainty."""
        return self._kernel.member_energies(self._positions(positions), self._box(box))

    def batch(self, positions: Any) -> BatchEvaluation:
        """Evaluate many geometries of the region in one go: scans, reweighting.

        Args:
            positions: (k, n, 3) in nm or as a Quantity; the region must be whole in each.

        Raises:
            SimulationError: another shape, or a position that is not finite.
        """
        array = in_md_units(positions, unit.nanometer)
        return self._kernel.batch(checked_batch(array, len(self.atomic_numbers)))

    def evaluate_tensors(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy, a scalar, and forces (n, 3) as tensors, in kJ/mol and nm.

        Args:
            positions: (n, 3) in nm, whole, of any floating type and device. They stay there if the
                backend can read them; else it is given a copy in host memory.
        """
        if isinstance(self._kernel, TensorKernel):
            return self._kernel.evaluate_tensors(positions)
        energy, forces = self(positions.detach().cpu().numpy())
        device = positions.device
        return torch.tensor(energy, dtype=torch.float64), torch.from_numpy(forces).to(device)

    def torch_module(self) -> torch.nn.Module:
        """Return a module from whole positions (n, 3) in nm to the energy, for TorchScript.

        Its code is that of the ``reference`` backend, whatever the backend of the evaluator.
        """
        symbols = _known_symbols(self.atomic_numbers, self.model)
        return energy_module(self.model.parameters, symbols, self.model.precision)

    def _positions(self, positions: Any) -> NDArray[np.float64]:
        return checked_positions(in_md_units(positions, unit.nanometer), len(self.atomic_numbers))

    def _box(self, box: Any) -> NDArray[np.float64] | None:
        if box is None:
            return None
        cutoff = self.model.parameters.symmetry_functions.radial_cutoff / 10
        return checked_box(in_md_units(box, unit.nanometer), cutoff)

    def __reduce__(self) -> tuple[Any, ...]:
        return (AniEvaluator, (self.model, self.atomic_numbers))


def _known_symbols(atomic_numbers: NDArray[np.int64], model: AniModel) -> list[str]:
    if atomic_numbers.ndim != 1 or atomic_numbers.size == 0:
        raise RegionError(
            f"found atomic numbers of shape {atomic_numbers.shape}, expected (n,), n > 0"
        )
    if not ((atomic_numbers > 0) & (atomic_numbers < 119)).all():
        raise RegionError("found an atomic number outside 1 to 118")
    symbols = [Element.getByAtomicNumber(int(z)).symbol for z in atomic_numbers]
    unknown = sorted(set(symbols) - set(model.elements))
    if unknown:
        raise RegionError(
            f"found the elements {', '.join(unknown)}, {model.name} knows "
            f"{', '.join(model.elements)}; leave these atoms to the force field or take another "
            "model"
        )
    return symbols

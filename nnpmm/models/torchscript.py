"""A potential that comes as a TorchScript file: positions in, energy out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from openmm import unit

from nnpmm.errors import ModelError, SimulationError
from nnpmm.models.ani.backends import choose_device
from nnpmm.models.protocol import (
    BatchEvaluation,
    Evaluation,
    checked_batch,
    checked_positions,
    one_by_one,
)
from nnpmm.units import in_md_units

__all__ = ["TorchScriptEvaluator", "TorchScriptModel"]


@dataclass(frozen=True)
class TorchScriptModel:
    """A TorchScript module from positions (n, 3) in nm to the potential energy in kJ/mol.

    Composition and charge are part of the module and are not checked. A TorchScript file
    is a program: load only files that you trust.
    """

    path: str
    device: str = "auto"

    @property
    def name(self) -> str:
        """The file's name."""
        return os.path.basename(self.path)

    elements = None
    neutral_only = False

    @property
    def provenance(self) -> dict[str, Any]:
        """What to write down to make this model again, with the SHA-256 of the file as digest.

        Raises:
            ModelError: the file cannot be read.
        """
        try:
            digest = hashlib.sha256(Path(self.path).read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(f"{self.path}: cannot be read ({error.strerror})") from error
        return {
            "model": self.name,
            "backend": "torchscript",
            "weights": self.path,
            "digest": digest,
        }

    def bind(
        self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0
    ) -> TorchScriptEvaluator:
        """Load the module for a region of this many atoms, whose charge is part of the module.

        Raises:
            ModelError: the file is missing or not a TorchScript module.
        """
        return TorchScriptEvaluator(self, np.asarray(atomic_numbers, dtype=np.int64))


class TorchScriptEvaluator:
    """A loaded TorchScript module; see `nnpmm.models.protocol.Evaluator`."""

    energy_offset = 0.0

    def __init__(self, model: TorchScriptModel, atomic_numbers: NDArray[np.int64]) -> None:
        self.model = model
        self.atomic_numbers = atomic_numbers
        self._device = choose_device(model.device)
        try:
            self._module = torch.jit.load(model.path, map_location=self._device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{model.path}: not a TorchScript module ({reason})") from error

    def __repr__(self) -> str:
        return f"TorchScriptEvaluator({self.model!r}, {len(self.atomic_numbers)} atoms)"

    def __call__(self, positions: Any, box: Any = None) -> tuple[float, NDArray[np.float64]]:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm at positions (n, 3) in nm."""
        return self.evaluate(positions, box)[:2]

    def evaluate(self, positions: Any, box: Any = None) -> Evaluation:
        """Return energy, forces, and the energy once more as that of the only member.

        Raises:
            SimulationError: positions of another shape or not finite, or a periodic box.
        """
        if box is not None:
            raise SimulationError(
                f"{self.model.name}: a TorchScript model takes no periodic box; use a model by name"
            )
        array = checked_positions(in_md_units(positions, unit.nanometer), len(self.atomic_numbers))
        tensor = torch.tensor(array, device=self._device, requires_grad=True)
        energy = self._module(tensor).sum()
        (gradient,) = torch.autograd.grad(energy, tensor)
        value = float(energy.detach())
        return Evaluation(value, -gradient.double().cpu().numpy(), np.array([value]))

    def member_energies(self, positions: Any, box: Any = None) -> NDArray[np.float64]:
        """Return the energy as that of the only member, shape (1,), kJ/mol."""
        return self.evaluate(positions, box).member_energies

    def batch(self, positions: Any) -> BatchEvaluation:
        """Return energies, forces and member energies of geometries (k, n, 3), one by one."""
        array = in_md_units(positions, unit.nanometer)
        return one_by_one(self, checked_batch(array, len(self.atomic_numbers)))

    def torch_module(self) -> torch.nn.Module:
        """Return a module from whole positions (n, 3) in nm to the energy, kJ/mol, a scalar."""
        return _Scalar(self._module)

    def __reduce__(self) -> tuple[Any, ...]:
        return (TorchScriptEvaluator, (self.model, self.atomic_numbers))


class _Scalar(torch.nn.Module):
    """A module whose energy may come as an array of one element."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        return self.module(positions).sum()

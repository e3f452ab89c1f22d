"""A potential in a TorchScript file, which maps positions to the energy."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from openmm.app import Element

from nnpmm.core.errors import ModelError, RegionError, SimulationError
from nnpmm.models.bound import BoundPotential
from nnpmm.models.devices import choose_device
from nnpmm.models.in_process import recall, remember
from nnpmm.models.protocol import Evaluation
from nnpmm.structures.formula import hill_formula

__all__ = ["TorchScriptEvaluator", "TorchScriptModel"]


@dataclass(frozen=True)
class TorchScriptModel:
    """A TorchScript module from positions (n, 3) in nm to the potential energy in kJ/mol.

    Composition and charge are part of the module. They are compared with the region's if the module
    states them in the attributes ``atomic_numbers`` (n,) and ``total_charge``, as files of
    ``prepare-nnp`` do. A TorchScript file is a program: load only files that you trust.
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
        """What a record has to contain: the file and its SHA-256, as digest.

        Raises:
            ModelError: the file cannot be read.
        """
        digest = hashlib.sha256(_content(self.path)).hexdigest()
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
            RegionError: the module states another composition or charge.
        """
        evaluator = TorchScriptEvaluator(self, np.asarray(atomic_numbers, dtype=np.int64))
        evaluator.check_region(charge)
        return evaluator


class TorchScriptEvaluator(BoundPotential):
    """A loaded TorchScript module; see `nnpmm.models.protocol.Evaluator`."""

    model: TorchScriptModel
    takes_box = False

    def __init__(self, model: TorchScriptModel, atomic_numbers: NDArray[np.int64]) -> None:
        self.model = model
        self.atomic_numbers = atomic_numbers
        self._device = choose_device(model.device)
        content = _content(model.path)
        self._digest = hashlib.sha256(content).hexdigest()
        try:
            self._module = torch.jit.load(io.BytesIO(content), map_location=self._device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"{model.path}: not a TorchScript module ({_line(error)})") from error
        self._check_result()

    def _evaluate(self, positions: NDArray[np.float64], box: Any) -> Evaluation:
        if box is not None:
            raise SimulationError(
                f"{self.model.name}: a TorchScript model does not support a periodic box; use a "
                "model by name"
            )
        tensor = torch.tensor(positions, device=self._device, requires_grad=True)
        energy = self._module(tensor).sum()
        (gradient,) = torch.autograd.grad(energy, tensor)
        value = float(energy.detach())
        return Evaluation(value, -gradient.double().cpu().numpy(), np.array([value]))

    def torch_module(self) -> torch.nn.Module:
        """Return a module from whole positions (n, 3) in nm to the energy, kJ/mol, a scalar."""
        return _Scalar(self._module)

    def check_region(self, charge: int) -> None:
        """Compare the region with the one that the module states; link atoms come last.

        Raises:
            RegionError: another composition, order of the atoms, or charge.
        """
        stated = getattr(self._module, "atomic_numbers", None)
        if stated is not None:
            expected, found = torch.as_tensor(stated).tolist(), self.atomic_numbers.tolist()
            if found[: len(expected)] != expected:
                raise RegionError(
                    f"{self.model.path}: found the region {_formula(found)}, but the file "
                    f"describes {_formula(expected)}, atoms in this order; write a file for this "
                    "region"
                )
        stated = getattr(self._module, "total_charge", None)
        if stated is not None and int(stated) != charge:
            raise RegionError(
                f"{self.model.path}: found a region of charge {charge:+d} e, but the file "
                f"describes one of {int(stated):+d} e; write a file for this region"
            )

    def _check_result(self) -> None:
        """Evaluate atoms on a line, 0.15 nm apart: what the module returns must be an energy.

        Raises:
            ModelError: it fails, or returns anything but one number that depends on the positions.
        """
        line = torch.zeros(len(self.atomic_numbers), 3, dtype=torch.float64, device=self._device)
        line[:, 0] = 0.15 * torch.arange(len(line))
        line.requires_grad_(True)
        needed = "expected a module from positions (n, 3) in nm to the energy in kJ/mol"
        try:
            found = self._module(line)
        except Exception as error:  # whatever the program raises
            raise ModelError(
                f"{self.model.path}: fails for {len(line)} atoms ({_line(error)}); {needed}"
            ) from error
        if not isinstance(found, torch.Tensor):
            raise ModelError(
                f"{self.model.path}: returns {type(found).__name__}; {needed}, a tensor"
            )
        if found.numel() != 1 or not found.is_floating_point():
            raise ModelError(
                f"{self.model.path}: returns a tensor of shape {tuple(found.shape)} and type "
                f"{found.dtype}; {needed}, one floating-point number"
            )
        try:
            torch.autograd.grad(found.sum(), line)
        except RuntimeError as error:
            raise ModelError(
                f"{self.model.path}: its result has no gradient ({_line(error)}); {needed}, from "
                "which torch derives the forces"
            ) from error

    def __reduce__(self) -> tuple[Any, ...]:
        content = (self._digest, self._device, self.model, self.atomic_numbers.tolist())
        key = hashlib.sha256(repr(content).encode()).hexdigest()
        remember(key, self)
        return (_restore, (key, self._digest, self.model, self.atomic_numbers))


def _restore(
    key: str, digest: str, model: TorchScriptModel, atomic_numbers: NDArray[np.int64]
) -> TorchScriptEvaluator:
    """Return the evaluator of this process, or load the file again.

    Raises:
        ModelError: the file is another one now.
    """
    found = recall(key)
    if found is not None:
        return found
    evaluator = TorchScriptEvaluator(model, atomic_numbers)
    if evaluator._digest != digest:
        raise ModelError(
            f"{model.path}: the file has changed since the system was written (sha256 "
            f"{evaluator._digest[:12]}, expected {digest[:12]}); couple the system again"
        )
    return evaluator


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error


def _formula(atomic_numbers: Sequence[int]) -> str:
    return hill_formula(Element.getByAtomicNumber(number).symbol for number in atomic_numbers)


def _line(error: Exception) -> str:
    """Return the message of an error in one line: TorchScript's is the last, after its stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]


class _Scalar(torch.nn.Module):
    """A module whose energy may come as an array of one element."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        return self.module(positions).sum()

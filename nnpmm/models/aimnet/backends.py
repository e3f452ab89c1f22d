"""The implementations of AIMNet2 by name, and the choice of the fastest one for a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ModelError, OptionalDependencyError
from nnpmm.models.aimnet.parameters import AimnetParameters
from nnpmm.models.cuda.device import missing as missing_device
from nnpmm.models.devices import choose_device
from nnpmm.models.protocol import BatchEvaluation, Evaluation

if TYPE_CHECKING:
    import torch

__all__ = ["BACKENDS", "SUMMARIES", "Kernel", "choose_backend", "missing"]


class Kernel(Protocol):
    """AIMNet2 for a fixed composition and charge, on checked float64 positions (n, 3) in nm."""

    def evaluate(self, positions: NDArray[np.float64]) -> Evaluation:
        """Return energy, forces and member energies."""

    def member_energies(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the energy of every member, (m,), kJ/mol, without forces."""

    def batch(self, positions: NDArray[np.float64]) -> BatchEvaluation:
        """Return the same for many geometries, (k, n, 3)."""

    def charges(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean charges (n,), e."""

    def in_potential(
        self, positions: NDArray[np.float64], potentials: NDArray[np.float64]
    ) -> tuple[Evaluation, NDArray[np.float64]]:
        """Return energy, forces in potentials (n,), kJ/mol/e, members, and the mean charges."""

    def charge_tensors(self, positions: torch.Tensor) -> torch.Tensor:
        """Return the mean charges (n,), e, float64, which autograd differentiates once."""

    def evaluate_tensors(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy and forces from positions (n, 3) of any floating type and device."""


def _cpu(
    parameters: AimnetParameters,
    symbols: list[str],
    charge: int,
    device: str,
    precision: str,
    threads: int | None,
) -> Kernel:
    from nnpmm.models.aimnet.cpu.kernel import CpuKernel

    return CpuKernel(parameters, symbols, charge, precision, threads)


def _cuda(
    parameters: AimnetParameters,
    symbols: list[str],
    charge: int,
    device: str,
    precision: str,
    threads: int | None,
) -> Kernel:
    from nnpmm.models.aimnet.cuda.kernel import CudaKernel

    return CudaKernel(parameters, symbols, charge, device, precision)


def _reference(
    parameters: AimnetParameters,
    symbols: list[str],
    charge: int,
    device: str,
    precision: str,
    threads: int | None,
) -> Kernel:
    from nnpmm.models.aimnet.reference import ReferenceKernel

    return ReferenceKernel(parameters, symbols, charge, device, precision, threads)


#: Functions that build a kernel from parameters, chemical symbols, charge, device, precision and
#: number of threads; they import what they need only then.
BACKENDS: dict[str, Callable[[AimnetParameters, list[str], int, str, str, int | None], Kernel]] = {
    "cpu": _cpu,
    "cuda": _cuda,
    "reference": _reference,
}

#: What each of them is, in a few words.
SUMMARIES = {
    "cpu": "numba loops and packed matrix products",
    "cuda": "CUDA kernels, compiled at first use",
    "reference": "torch, autograd forces",
}


def missing(name: str) -> str | None:
    """Return what to do about it if a backend cannot be used here, else None."""
    return missing_device() if name == "cuda" else None


def choose_backend(name: str, device: str, model: str) -> tuple[str, str]:
    """Return the names of a backend and of a device that it can use.

    Args:
        name: of a backend; ``"auto"`` gives that of the device, ``"cpu"`` or ``"cuda"``.
        device: see `nnpmm.models.devices.choose_device`.
        model: its name, for messages.

    Raises:
        ModelError: no backend or device of that name, or a backend that does not run on the device.
        OptionalDependencyError: the backend needs a GPU, and there is none.
    """
    if name not in ("auto", *BACKENDS):
        raise ModelError(f"found the backend {name!r}, {model} has: auto, {', '.join(BACKENDS)}")
    if (remedy := missing(name)) is not None:
        raise OptionalDependencyError(f"the backend {name!r} cannot be used here; {remedy}")
    if name in ("cpu", "cuda"):  # each for its device
        device = name if device == "auto" else device
        if _kind(device) != name:
            raise ModelError(
                f"found the device {device!r}, the backend {name!r} allows: {name}; choose another "
                "device or backend"
            )
    device = choose_device(device)
    if name == "auto":
        name = _kind(device)
    return name, device


def _kind(device: str) -> str:
    return device.partition(":")[0]

"""The implementations of AIMNet2 by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from nnpmm.models.aimnet.parameters import AimnetParameters
from nnpmm.models.backends import Backend
from nnpmm.models.cuda.device import missing as missing_device
from nnpmm.models.protocol import BatchEvaluation, Evaluation

if TYPE_CHECKING:
    import torch

__all__ = ["BACKENDS", "Kernel"]


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


#: Builds a kernel from parameters, chemical symbols, charge, device, precision, number of threads.
KernelFactory = Callable[[AimnetParameters, list[str], int, str, str, int | None], Kernel]

# Fastest first for each device: "auto" takes the first that is not missing and runs on the device.
BACKENDS: dict[str, Backend[KernelFactory]] = {
    "cpu": Backend("numba loops and packed matrix products", _cpu, devices=("cpu",)),
    "cuda": Backend(
        "torch operations in one CUDA graph",
        _cuda,
        missing_device,
        devices=("cuda",),
        compared=True,
    ),
    "reference": Backend("torch, autograd forces", _reference),
}

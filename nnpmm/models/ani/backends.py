"""The implementations of ANI by name, and the choice of the fastest available one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nnpmm.models import backends
from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.ani.triton import missing as _triton_missing
from nnpmm.models.backends import Backend
from nnpmm.models.protocol import BatchEvaluation, Evaluation

if TYPE_CHECKING:
    import torch

__all__ = ["BACKENDS", "Kernel", "TensorKernel", "choose_backend"]


class Kernel(Protocol):
    """ANI for a fixed composition, on checked float64 positions and box vectors in nm."""

    def evaluate(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> Evaluation:
        """Return energy, forces and member energies."""

    def member_energies(
        self, positions: NDArray[np.float64], box: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the energy of every member without forces."""

    def batch(self, positions: NDArray[np.float64]) -> BatchEvaluation:
        """Return the same for many geometries, (k, n, 3)."""


@runtime_checkable
class TensorKernel(Kernel, Protocol):
    """A kernel that also takes and returns tensors, so that they can stay on a GPU."""

    def evaluate_tensors(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy and forces from positions (n, 3) in nm of any floating type and device."""


#: Builds a kernel from parameters, chemical symbols, device, precision and number of threads.
KernelFactory = Callable[[AniParameters, list[str], str, str, int | None], Kernel]


def _cpu(
    parameters: AniParameters, symbols: list[str], device: str, precision: str, threads: int | None
) -> Kernel:
    from nnpmm.models.ani.cpu.kernel import CpuKernel

    return CpuKernel(parameters, symbols, precision, threads)


def _reference(
    parameters: AniParameters, symbols: list[str], device: str, precision: str, threads: int | None
) -> Kernel:
    from nnpmm.models.ani.reference import ReferenceKernel

    return ReferenceKernel(parameters, symbols, device, precision, threads)


def _triton(
    parameters: AniParameters, symbols: list[str], device: str, precision: str, threads: int | None
) -> Kernel:
    from nnpmm.models.ani.triton.kernel import TritonKernel

    return TritonKernel(parameters, symbols, device, precision)


def _torchani(
    parameters: AniParameters, symbols: list[str], device: str, precision: str, threads: int | None
) -> Kernel:
    from nnpmm.models.ani.torchani_kernel import TorchaniKernel

    return TorchaniKernel(parameters, symbols, device, precision, threads)


def _torchani_missing() -> str | None:
    if importlib.util.find_spec("torchani") is None:
        return "pip install 'torchani==2.2.4' 'setuptools<81'"
    if importlib.util.find_spec("pkg_resources") is None:
        return "pip install 'setuptools<81' (torchani 2.2 imports pkg_resources)"
    return None


def _nnpops(
    parameters: AniParameters, symbols: list[str], device: str, precision: str, threads: int | None
) -> Kernel:
    from nnpmm.models.ani.nnpops_kernel import NnpopsKernel

    return NnpopsKernel(parameters, symbols, device, precision)  # on torch's own threads


def _nnpops_missing() -> str | None:
    if importlib.util.find_spec("NNPOps") is None:
        return "conda install -c conda-forge nnpops"
    return _torchani_missing()


# Fastest first for each device: "auto" takes the first that is not missing and runs on the device.
BACKENDS: dict[str, Backend[KernelFactory]] = {
    "cpu": Backend("numba loops and packed matrix products", _cpu, devices=("cpu",)),
    "triton": Backend(
        "fused CUDA kernels", _triton, _triton_missing, devices=("cuda",), compared=True
    ),
    "reference": Backend("torch, members batched, autograd forces", _reference),
    "torchani": Backend("torchani's own classes, autograd forces", _torchani, _torchani_missing),
    "nnpops": Backend(
        "NNPOps' symmetry functions and batched networks",
        _nnpops,
        _nnpops_missing,
        ("single",),
        compared=True,
    ),
}


def choose_backend(name: str, device: str = "auto") -> tuple[str, str]:
    """Return the names of a backend of ANI and of a device that it can use.

    `nnpmm.models.backends.choose_backend` describes arguments and errors.
    """
    return backends.choose_backend(BACKENDS, name, device)

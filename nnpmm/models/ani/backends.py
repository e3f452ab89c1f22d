"""The implementations of ANI by name, and the choice of the fastest one that is there."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nnpmm.errors import ModelError, OptionalDependencyError
from nnpmm.models.ani.parameters import AniParameters
from nnpmm.models.protocol import BatchEvaluation, Evaluation

__all__ = ["BACKENDS", "Backend", "Kernel", "choose_backend", "choose_device"]


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


KernelFactory = Callable[[AniParameters, list[str], str, str], Kernel]


@dataclass(frozen=True)
class Backend:
    """One implementation.

    Args:
        summary: what it is, for ``nnpmm doctor``.
        factory: builds a kernel from parameters, chemical symbols, device and precision; imports
            what it needs only then.
        missing: the remedy if a package is missing, else None.
    """

    summary: str
    factory: KernelFactory
    missing: Callable[[], str | None]


def _reference(
    parameters: AniParameters, symbols: list[str], device: str, precision: str
) -> Kernel:
    from nnpmm.models.ani.reference import ReferenceKernel

    return ReferenceKernel(parameters, symbols, device, precision)


def _torchani(parameters: AniParameters, symbols: list[str], device: str, precision: str) -> Kernel:
    from nnpmm.models.ani.torchani_kernel import TorchaniKernel

    return TorchaniKernel(parameters, symbols, device, precision)


def _torchani_missing() -> str | None:
    if importlib.util.find_spec("torchani") is None:
        return "pip install 'torchani==2.2.4' 'setuptools<81'"
    if importlib.util.find_spec("pkg_resources") is None:
        return "pip install 'setuptools<81' (torchani 2.2 imports pkg_resources)"
    return None


# Fastest first: "auto" takes the first that is not missing.
BACKENDS: dict[str, Backend] = {
    "reference": Backend("torch, members batched, autograd forces", _reference, lambda: None),
    "torchani": Backend("torchani's own classes, autograd forces", _torchani, _torchani_missing),
}


def choose_backend(name: str) -> str:
    """Return the name of a backend that can be used; ``"auto"`` gives the fastest.

    Raises:
        ModelError: no backend of that name.
        OptionalDependencyError: its package is missing; the message gives the install line.
    """
    if name == "auto":
        return next(key for key, backend in BACKENDS.items() if backend.missing() is None)
    if name not in BACKENDS:
        raise ModelError(f"found the backend {name!r}, available: auto, {', '.join(BACKENDS)}")
    remedy = BACKENDS[name].missing()
    if remedy is not None:
        raise OptionalDependencyError(f"the backend {name!r} cannot be used here; {remedy}")
    return name


def choose_device(name: str) -> str:
    """Return a torch device name; ``"auto"`` is ``"cuda"`` if torch sees a GPU, else ``"cpu"``.

    Raises:
        ModelError: not a device name, or a GPU that torch does not see.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or not (index == "" or index.isdigit()):
        raise ModelError(f"found the device {name!r}, allowed: auto, cpu, cuda, cuda:<index>")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"found the device {name!r}, but torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices; use device='cpu' or a CUDA build of torch"
        )
    return name

"""Implementations of a network by name, and the choice of the fastest available one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nnpmm.core.errors import ModelError, OptionalDependencyError
from nnpmm.models.devices import choose_device

__all__ = ["Backend", "choose_backend", "usable_backends"]

_Factory = TypeVar("_Factory")


@dataclass(frozen=True)
class Backend(Generic[_Factory]):
    """One implementation.

    Args:
        summary: what it is, for ``nnpmm doctor``.
        factory: builds a kernel; imports what it needs only then.
        missing: the remedy if a package or a GPU is missing, else None.
        precisions: what it can compute in.
        devices: where it can compute.
        compared: what it computes depends on the machine, so that it is compared with the reference
            on first use; see `nnpmm.models.ani.first_use`.
    """

    summary: str
    factory: _Factory
    missing: Callable[[], str | None] = lambda: None
    precisions: tuple[str, ...] = ("single", "double")
    devices: tuple[str, ...] = ("cpu", "cuda")
    compared: bool = False


def choose_backend(
    backends: Mapping[str, Backend[Any]], name: str, device: str = "auto"
) -> tuple[str, str]:
    """Return the names of a backend and of a device that it can use.

    Args:
        backends: by name, the fastest first for each device.
        name: of a backend; ``"auto"`` chooses the fastest one available for the device.
        device: ``"auto"`` is ``"cuda"`` if torch sees a GPU and the backend can use it, else
            ``"cpu"``; or a device by name.

    Raises:
        ModelError: no backend or device of that name, or a backend that does not run on the device.
        OptionalDependencyError: a package or a GPU is missing; the message gives the remedy.
    """
    if name == "auto":
        device = choose_device(device)
        for key, backend in backends.items():
            if _kind(device) in backend.devices and backend.missing() is None:
                return key, device
    if name not in backends:
        raise ModelError(f"found the backend {name!r}, available: auto, {', '.join(backends)}")
    backend = backends[name]
    remedy = backend.missing()
    if remedy is not None:
        raise OptionalDependencyError(f"the backend {name!r} cannot be used here; {remedy}")
    if device == "auto" and len(backend.devices) == 1:
        device = backend.devices[0]
    if device != "auto" and _kind(device) not in backend.devices:
        raise ModelError(
            f"found the device {device!r}, the backend {name!r} allows: "
            f"{', '.join(backend.devices)}; choose another device or backend"
        )
    return name, choose_device(device)


def usable_backends(backends: Mapping[str, Backend[Any]], device: str, precision: str) -> list[str]:
    """Return the available backends for a device and a precision, fastest first."""
    return [
        name
        for name, backend in backends.items()
        if _kind(device) in backend.devices
        and precision in backend.precisions
        and backend.missing() is None
    ]


def _kind(device: str) -> str:
    return device.partition(":")[0]

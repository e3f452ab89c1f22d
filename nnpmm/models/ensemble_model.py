"""What the models of ANI and AIMNet2 have in common: an ensemble of networks and how it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from nnpmm.core.errors import ModelError
from nnpmm.models.backends import Backend, choose_backend
from nnpmm.models.ensemble import EnsembleParameters
from nnpmm.models.in_process import remember, restored_parameters
from nnpmm.models.threads import thread_count

__all__ = ["EnsembleModel"]

_Rebuild = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True, repr=False)
class EnsembleModel:
    """An ensemble of networks with a chosen backend, device and precision.

    Args:
        parameters: constants, networks and self energies.
        backend: ``"auto"`` or the name of a backend.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
        precision: ``"single"``, or ``"double"`` for checks.
        threads: of the CPU; None leaves it to the backend (see `nnpmm.models.threads`).
        source: where the weights came from.
        rebuild: a picklable function and its arguments that create this model again in another
            process. Without it, a System that contains the model can only be copied in this one.

    Raises:
        ModelError: no such backend, device or precision.
        OptionalDependencyError: the backend lacks a package or a GPU.
    """

    parameters: EnsembleParameters
    backend: str = "auto"
    device: str = "auto"
    precision: str = "single"
    threads: int | None = None
    source: str = "parameters given in Python"
    rebuild: _Rebuild | None = None
    requested: tuple[str, str] = field(default=("auto", "auto"), init=False)
    #: The implementations by name, the fastest first for each device.
    backends: ClassVar[Mapping[str, Backend[Any]]]
    #: Whether the networks were trained on neutral molecules and see no charge.
    neutral_only: ClassVar[bool]

    def __post_init__(self) -> None:
        object.__setattr__(self, "requested", (self.backend, self.device))
        backend, device = choose_backend(self.backends, self.backend, self.device)
        object.__setattr__(self, "backend", backend)
        object.__setattr__(self, "device", device)
        if self.threads is not None:
            thread_count(self.threads)
        allowed = self.backends[backend].precisions
        if self.precision not in allowed:
            raise ModelError(
                f"found the precision {self.precision!r}, the backend {self.backend!r} allows: "
                f"{', '.join(allowed)}; use one of these or another backend"
            )

    def __repr__(self) -> str:
        count = len(self.parameters.members)
        networks = "1 network" if count == 1 else f"{count} networks"
        return (
            f"{type(self).__name__}({self.name!r}, {networks}, backend={self.backend!r}, "
            f"device={self.device!r}, precision={self.precision!r})"
        )

    @property
    def automatic(self) -> bool:
        """Whether ``"auto"`` chose the backend, so that another one may replace it."""
        return self.requested[0] == "auto"

    @property
    def name(self) -> str:
        """The published name, for example ``"ANI-2x"``."""
        return self.parameters.name

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols that the networks know."""
        return self.parameters.elements

    @property
    def provenance(self) -> dict[str, Any]:
        """What a record has to contain so that this model can be loaded again."""
        return {
            "model": self.name,
            "members": list(self.parameters.member_indices),
            "backend": self.backend,
            "device": self.device,
            "precision": self.precision,
            "weights": self.source,
            "digest": self.parameters.digest(),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        digest = self.parameters.digest()
        remember(digest, self.parameters)
        choices = (*self.requested, self.precision, self.threads, self.source)
        return (_restored, (type(self), self.name, digest, choices, self.rebuild))


def _restored(
    kind: type[EnsembleModel],
    name: str,
    digest: str,
    choices: tuple[Any, ...],
    rebuild: _Rebuild | None,
) -> EnsembleModel:
    backend, device, precision, threads, source = choices
    parameters = restored_parameters(name, digest, rebuild)
    return kind(parameters, backend, device, precision, threads, source, rebuild)

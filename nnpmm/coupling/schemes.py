"""How the inside of a region is described: the network, a mixture, or the network in two parts.

They are alternatives and cannot be combined.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnpmm.core.errors import ConfigError
from nnpmm.coupling.time_scales import InnerTerms
from nnpmm.models.protocol import Potential

__all__ = ["Interpolated", "MultipleTimeSteps", "Replaced", "Scheme"]


@dataclass(frozen=True)
class Replaced:
    """The network replaces the force field."""


@dataclass(frozen=True)
class Interpolated:
    """The force field with the weight 1 - lambda_nnp and the network with lambda_nnp.

    The global parameter ``lambda_nnp`` goes from 0 (MM) to 1 (NNP/MM, the default); see
    `nnpmm.coupling.nnp_derivative`.
    """


@dataclass(frozen=True)
class MultipleTimeSteps:
    """An inner potential acts inside the region, and the network less the inner potential.

    Their sum is the network. The two parts can have different time steps; see
    `nnpmm.integrators.split_time_scales`.

    Args:
        inner_potential: None for the force field's bonded terms inside the region, the result of
            `nnpmm.integrators.fit_inner_potential`, or another network, such as one member of an
            ensemble.

    Raises:
        ConfigError: an inner potential of another kind.
    """

    inner_potential: InnerTerms | Potential | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.inner_potential, (InnerTerms, Potential, type(None))):
            raise ConfigError(
                f"found a {type(self.inner_potential).__name__} as inner_potential, allowed: None, "
                "the result of fit_inner_potential, or a model"
            )

    @property
    def network(self) -> Potential | None:
        """The inner potential if it is a network."""
        return self.inner_potential if isinstance(self.inner_potential, Potential) else None


Scheme = Replaced | Interpolated | MultipleTimeSteps

"""Alchemical states, and the order in which a ladder goes through them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from nnpmm.core.errors import ConfigError
from nnpmm.coupling import LAMBDA_NNP

__all__ = [
    "LAMBDA_ELECTROSTATICS",
    "LAMBDA_STERICS",
    "AlchemicalState",
    "decoupling_schedule",
]

#: Global parameter that scales the charges of the region: 1 is full interaction, 0 none.
LAMBDA_ELECTROSTATICS = "lambda_electrostatics"
#: Global parameter of the soft-core Lennard-Jones interaction: 1 is full interaction, 0 none.
LAMBDA_STERICS = "lambda_sterics"


@dataclass(frozen=True)
class AlchemicalState:
    """One state of a ladder.

    Attributes:
        electrostatics: factor of the region's charges, 0 to 1.
        sterics: coupling of its Lennard-Jones interactions, 0 to 1.
        nnp: weight of the network inside an interpolated region, 0 to 1; None if the system has no
            such parameter.

    Raises:
        ConfigError: a value outside 0 to 1, or charges on a region without full sterics: an
            attraction without the repulsion that limits it.
    """

    electrostatics: float
    sterics: float
    nnp: float | None = None

    def __post_init__(self) -> None:
        for name in ("electrostatics", "sterics", "nnp"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name}: found {value}, allowed: 0 to 1")
        if self.electrostatics > 0 and self.sterics < 1:
            raise ConfigError(
                f"found electrostatics {self.electrostatics} with sterics {self.sterics}, allowed: "
                "charges only where sterics is 1, since opposite charges would otherwise meet "
                "without repulsion"
            )

    @property
    def parameters(self) -> dict[str, float]:
        """Values of the global parameters of a context."""
        values = {
            LAMBDA_ELECTROSTATICS: self.electrostatics,
            LAMBDA_STERICS: self.sterics,
        }
        return values if self.nnp is None else {**values, LAMBDA_NNP: self.nnp}


def decoupling_schedule(
    electrostatics: Sequence[float] = (1.0, 0.75, 0.5, 0.25, 0.0),
    sterics: Sequence[float] = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0),
) -> tuple[AlchemicalState, ...]:
    """Return a ladder from full interaction to none: charges first, then Lennard-Jones.

    Args:
        electrostatics: factors of the charges, falling from 1 to 0, at full sterics.
        sterics: couplings of Lennard-Jones, falling to 0 from below 1, without charges.

    Raises:
        ConfigError: values that do not fall, or a ladder that does not go from 1 to 0.
    """
    for name, values in (("electrostatics", electrostatics), ("sterics", (1.0, *sterics))):
        falls = all(first > second for first, second in itertools.pairwise(values))
        if len(values) < 2 or not falls or values[0] != 1 or values[-1] != 0:
            raise ConfigError(
                f"{name}: found {list(values)}, allowed: values that fall from 1 to 0, each once"
            )
    return (
        *(AlchemicalState(float(value), 1.0) for value in electrostatics),
        *(AlchemicalState(0.0, float(value)) for value in sterics),
    )

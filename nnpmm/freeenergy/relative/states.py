"""States of an alchemical transfer, and the energy function that connects its two ends.

With u0 the energy of the system as it is, u1 that after the transfer, and usc a soft-core function
of the perturbation energy u,

    V = u0 + W(usc(u)),  u = u1 - u0    (direction 1, towards the transfer)
    V = u1 + W(usc(u)),  u = u0 - u1    (direction -1, back from it)
    W(u) = (l2 - l1) / alpha ln(1 + exp(-alpha (u - uh))) + l2 u
    usc(u) = u up to ub, and above ub + (umax - ub) f((u - ub) / (umax - ub))
    f(y) = (z^a - 1) / (z^a + 1),  z = 1 + 2 y / a + 2 (y / a)^2

(Pal and Gallicchio, J. Chem. Phys. 2019, 151, 124116; Azimi et al., J. Chem. Inf. Model. 2022, 62,
309; with W0 = 0). At l1 = l2 = 0 V is u0 or u1, at l1 = l2 = 1/2 their mean in both directions, as
long as u stays below ub; so the two halves are one ladder from end to end.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError

__all__ = ["ENERGY_FUNCTION", "HALF", "PARAMETERS", "TransferState", "transfer_schedule"]

# The logarithm is written so that it cannot overflow, and f so that it is 1 at infinity.
ENERGY_FUNCTION = (
    "select(step(Direction), u0, u1) + (Lambda2-Lambda1)/Alpha*softplus + Lambda2*usc;"
    "softplus = max(x, 0) + log(1 + exp(-abs(x)));"
    "x = -Alpha*(usc-Uh);"
    "usc = select(step(u-Ubcore), Ubcore + (Umax-Ubcore)*fsc, u);"
    "fsc = 1 - 2/(z^Acore+1);"
    "z = 1 + 2*(y/Acore) + 2*(y/Acore)^2;"
    "y = (u-Ubcore)/(Umax-Ubcore);"
    "u = select(step(Direction), 1, -1)*(u1-u0)"
)
#: Global parameters with their values in the first state, kJ/mol and mol/kJ; names as in OpenMM.
#: Values of Azimi et al.: alpha 0.1 mol/kcal; uh 110, umax 200 and ub 100 kcal/mol; a 1/16.
PARAMETERS = {
    "Direction": 1.0,
    "Lambda1": 0.0,
    "Lambda2": 0.0,
    "Alpha": 0.1 / KJ_PER_KCAL,
    "Uh": 110.0 * KJ_PER_KCAL,
    "Umax": 200.0 * KJ_PER_KCAL,
    "Ubcore": 100.0 * KJ_PER_KCAL,
    "Acore": 1 / 16,
}
#: (l1, l2) from one end to the middle, those of Azimi et al.
HALF = (
    *((0.0, value) for value in (0.0, 0.1, 0.2, 0.3, 0.4)),
    *((value, 0.5) for value in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
)


@dataclass(frozen=True)
class TransferState:
    """One state of the ladder.

    Attributes:
        direction: 1 on the half next to the system as it is, -1 on that next to the transferred.
        lambda1: slope of W at u far below uh.
        lambda2: slope of W at u far above uh.

    Raises:
        ConfigError: another direction, or not 0 <= lambda1 <= lambda2 <= 1.
    """

    direction: int
    lambda1: float
    lambda2: float

    def __post_init__(self) -> None:
        if self.direction not in (1, -1):
            raise ConfigError(f"direction: found {self.direction}, allowed: 1 and -1")
        if not 0 <= self.lambda1 <= self.lambda2 <= 1:
            raise ConfigError(
                f"found lambda1 {self.lambda1} and lambda2 {self.lambda2}, allowed: "
                "0 <= lambda1 <= lambda2 <= 1"
            )

    @property
    def progress(self) -> float:
        """Progress of the transfer, from 0 to 1."""
        half = 0.5 * (self.lambda1 + self.lambda2)
        return half if self.direction == 1 else 1 - half

    @property
    def parameters(self) -> dict[str, float]:
        """Values of the global parameters of a context."""
        return {
            "Direction": float(self.direction),
            "Lambda1": self.lambda1,
            "Lambda2": self.lambda2,
        }


def transfer_schedule(half: Sequence[tuple[float, float]] = HALF) -> tuple[TransferState, ...]:
    """Return a ladder from the system as it is to the transferred one.

    The second half has the states of the first in reverse order and with the other direction,
    except for the middle, which both halves share.

    Args:
        half: (lambda1, lambda2) from (0, 0) to (1/2, 1/2), neither of them falling.

    Raises:
        ConfigError: a half that does not start at 0, end at 1/2, or rise from state to state.
    """
    rises = all(
        first[0] <= second[0] and first[1] <= second[1] and first != second
        for first, second in itertools.pairwise(half)
    )
    if len(half) < 2 or not rises or tuple(half[0]) != (0, 0) or tuple(half[-1]) != (0.5, 0.5):
        raise ConfigError(
            f"found the states {[tuple(pair) for pair in half]}, allowed: pairs of lambda1 and "
            "lambda2 that rise from (0, 0) to (0.5, 0.5)"
        )
    return (
        *(TransferState(1, *pair) for pair in half),
        *(TransferState(-1, *pair) for pair in reversed(half[:-1])),
    )

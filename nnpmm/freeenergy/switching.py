"""Non-equilibrium switching between a force field and a network, and its work.

The works of switches in both directions give the free energy difference by Crooks' theorem (Phys.
Rev. E 1999, 60, 2721) and Bennett's acceptance ratio, `nnpmm.freeenergy.bar`. From one direction
Jarzynski's average gives it, `nnpmm.freeenergy.exponential_average`.
"""

from __future__ import annotations

import numpy as np
import openmm
from numpy.typing import ArrayLike, NDArray

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.coupling import LAMBDA_NNP, nnp_derivative
from nnpmm.coupling.interpolation import check_interpolated

__all__ = ["forward_protocol", "reverse_protocol", "switch"]


def forward_protocol(n_changes: int) -> NDArray[np.float64]:
    """Return lambda_nnp from 0 (force field) to 1 (network) in equal changes, (n_changes + 1,)."""
    if n_changes < 1:
        raise ConfigError(f"found {n_changes} changes of lambda_nnp, allowed: 1 or more")
    return np.linspace(0.0, 1.0, n_changes + 1)


def reverse_protocol(n_changes: int) -> NDArray[np.float64]:
    """Return lambda_nnp from 1 (network) to 0 (force field) in equal changes, (n_changes + 1,)."""
    return forward_protocol(n_changes)[::-1].copy()


def switch(
    context: openmm.Context, protocol: ArrayLike, *, steps_per_change: int = 1
) -> NDArray[np.float64]:
    """Drive lambda_nnp along a protocol, in place, and return the work done up to each value.

    W_k = sum over changes j <= k of V(x_j; lambda_j) - V(x_j; lambda_j-1), with steps of the
    context's integrator between the changes. V is linear in lambda_nnp, so each change costs one
    evaluation of the network, (lambda_j - lambda_j-1) dV/dlambda. The integrator must sample at
    constant temperature, and starting points must come from the equilibrium ensemble at
    ``protocol[0]``.

    Args:
        context: of a system made with ``Mechanical(inside=Interpolated())``, positions and
            velocities set; afterwards it is at the end of the protocol.
        protocol: values of lambda_nnp in their order, (m,), each from 0 to 1.
        steps_per_change: integration steps after each change.

    Returns:
        The accumulated work (m,) in kJ/mol, 0 at first; the last one is that of the whole switch.

    Raises:
        ConfigError: fewer than two values, a value outside 0 to 1, or no steps.
        ForceFieldError: the system is not interpolated.
        SimulationError: the work is not a finite number.
    """
    values = np.asarray(protocol, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not ((values >= 0) & (values <= 1)).all():
        raise ConfigError(
            f"found the protocol {values.tolist()}, allowed: two or more values of lambda_nnp "
            "between 0 and 1"
        )
    if steps_per_change < 1:
        raise ConfigError(f"found {steps_per_change} steps per change, allowed: 1 or more")
    check_interpolated(context)
    work = np.zeros(len(values))
    for index, change in enumerate(np.diff(values), start=1):
        work[index] = work[index - 1] + change * nnp_derivative(context)
        if not np.isfinite(work[index]):
            raise SimulationError(
                f"the work at lambda_nnp = {values[index]:g} is not finite; switch more slowly or "
                "use a smaller time step"
            )
        context.setParameter(LAMBDA_NNP, float(values[index]))
        context.getIntegrator().step(steps_per_change)
    return work

"""RESPA for a hybrid system in one call."""

from __future__ import annotations

from typing import Any

from nnpmm.core.errors import ConfigError
from nnpmm.coupling import HybridSystem, has_inner_potential
from nnpmm.integrators.respa import RespaIntegrator, create_respa_integrator, heat_bath
from nnpmm.integrators.time_scales import split_time_scales

__all__ = ["respa"]


def respa(
    hybrid: HybridSystem,
    *,
    inner: Any,
    outer: Any,
    middle: Any = None,
    short_range: tuple[Any, Any] | None = None,
    temperature: Any = None,
    friction: Any = None,
    seed: int | None = None,
) -> RespaIntegrator:
    """Return an integrator with multiple time steps, and set the force groups that it needs.

    Bonded terms and the inner potential have the inner time step, the network and the reciprocal
    space the outer one (`nnpmm.integrators.split_time_scales`). The force groups of
    ``hybrid.system`` are changed in place.

    Args:
        hybrid: coupled with ``Mechanical(inside=MultipleTimeSteps())``.
        inner: time step of the fast forces, ps or a Quantity.
        outer: time step of the slow forces, a multiple of the inner one.
        middle: time step of all other forces; None for the outer one.
        short_range: with a middle time step, the distances (nm or Quantities) between which pairs
            are switched over from it to the outer one.
        temperature: of the heat bath, K or a Quantity; None for constant energy.
        friction: of the heat bath, 1/ps or a Quantity; with a temperature.
        seed: of the random numbers.

    Raises:
        ConfigError: the region has no inner potential, time steps that are not multiples of each
            other, or other arguments out of range.
        ForceFieldError: the non-bonded force has no short range.
    """
    if not has_inner_potential(hybrid.system):
        raise ConfigError(
            "found a region without an inner potential; couple it with "
            "inside=MultipleTimeSteps() of Mechanical or Subtractive"
        )
    heat_bath(temperature, friction)  # an error leaves the system as it was
    splitting = split_time_scales(
        hybrid.system, inner=inner, outer=outer, middle=middle, short_range=short_range
    )
    return create_respa_integrator(
        hybrid.system, splitting, temperature=temperature, friction=friction, seed=seed
    )

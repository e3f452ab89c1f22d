"""Times of settings as numbers of time steps."""

from __future__ import annotations

from nnpmm.core.errors import ConfigError

__all__ = ["count_steps"]

# A year at 30,000 steps per second. Beyond 2^53 a double would no longer count single steps.
_MOST_STEPS = 10**12


def count_steps(time: float, timestep: float) -> int:
    """Return how many time steps (ps) make up ``time`` (ps).

    Raises:
        ConfigError: ``time`` is not a whole multiple of the time step, or has too many of them.
    """
    if time > _MOST_STEPS * timestep:
        raise ConfigError(
            f"found {time:g} ps, allowed: at most {_MOST_STEPS * timestep:g} ps, which are "
            f"{_MOST_STEPS:g} steps"
        )
    steps = round(time / timestep)
    # A millionth of a step, and for long times 1e-9 of the time, for the rounding of decimals.
    if steps < 1 or abs(steps * timestep - time) > 1e-6 * timestep * max(1.0, steps * 1e-3):
        nearest = max(1, steps) * timestep
        raise ConfigError(
            f"found {time:.12g} ps, must be a whole multiple of the time step {timestep:g} ps "
            f"(nearest: {nearest:.12g} ps)"
        )
    return steps

"""The masses of a region that a time step needs."""

from __future__ import annotations

import logging
import math
from typing import Literal

from nnpmm.core.errors import ConfigError
from nnpmm.integrators.timestep_limits import RegionMotion

__all__ = ["choose_mass_factor"]

_LOGGER = logging.getLogger(__name__)
# Atoms four times as heavy move half as fast. C#N, the fastest bond between heavy atoms, needs a
# factor of 3.4 for 5 fs.
_LARGEST_FACTOR = 4.0


def choose_mass_factor(
    motion: RegionMotion, wanted: float | Literal["auto"], timestep: float, *, respa: bool = False
) -> float:
    """Return the factor by which the masses of a region are multiplied.

    Averages over configurations do not depend on masses. With ``auto`` the factor is the smallest
    one that gives the region's fastest vibration the number of steps per period that it needs.
    With single time steps a region whose bonds to hydrogen are free keeps its masses: there,
    constraints are the remedy.

    Args:
        motion: of the region, with its own masses.
        wanted: the setting.
        timestep: ps; with RESPA the outer one.
        respa: the region is integrated with RESPA.

    Raises:
        ConfigError: the time step would need masses more than four times as large.
    """
    if wanted != "auto":
        return wanted
    if motion.free_hydrogens and not respa:
        return 1.0
    factor = motion.mass_factor(timestep, impulse=respa)
    steps = motion.steps_per_period(impulse=respa)
    if factor > _LARGEST_FACTOR:
        longest = motion.vibration.period * math.sqrt(_LARGEST_FACTOR) / steps
        raise ConfigError(
            f"timestep: found {timestep * 1000:g} fs, for which the region's masses would have to "
            f"be {factor:g} times as large, allowed: {_LARGEST_FACTOR:g} times; set timestep to at "
            f"most {math.floor(longest * 1e4) / 10:g} fs"
        )
    if factor > 1:
        _LOGGER.info(
            "the region's masses are multiplied by %g: its fastest vibration (%s, %.1f fs) needs "
            "%g steps of %g fs per period",
            factor,
            "-".join(motion.atoms),
            1000 * motion.vibration.period,
            steps,
            1000 * timestep,
        )
    return factor

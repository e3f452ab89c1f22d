"""The masses of a region that a time step needs."""

from __future__ import annotations

import logging
import math
from typing import Literal

from nnpmm.core.errors import ConfigError
from nnpmm.integrators.timestep_limits import RegionMotion

__all__ = ["LARGEST_MASS_FACTOR", "RECOMMENDED_STEPS", "choose_mass_factor"]

_LOGGER = logging.getLogger(__name__)
#: Steps per period of the fastest vibration that ``auto`` aims at where bonds to hydrogen are
#: constrained. A stretch with an energy of several kT can gain more until its bond breaks: of 5,
#: 5.5, 6, 6.5, 7 and 8 steps, 6.5 are the fewest with which no run of benchmarks/time_steps.py that
#: started hot blew up. Half a step is added as a margin.
RECOMMENDED_STEPS = 7.0
#: Atoms four times as heavy move half as fast: the period of C#N, the fastest bond between heavy
#: atoms, is then 5.5 steps of 5 fs.
LARGEST_MASS_FACTOR = 4.0


def choose_mass_factor(
    motion: RegionMotion, wanted: float | Literal["auto"], timestep: float, *, respa: bool = False
) -> float:
    """Return the factor by which the masses of a region are multiplied.

    Averages over configurations do not depend on masses. With ``auto`` the factor is the smallest
    one that gives the region's fastest vibration seven steps per period, but at most 4. With RESPA
    it is the smallest one that gives the vibration the fewest outer steps per period that it needs.
    With single time steps the masses of a region whose bonds to hydrogen are not constrained do not
    change: constrain these bonds instead.

    Args:
        motion: of the region, with its own masses.
        wanted: the setting.
        timestep: ps; with RESPA the outer one.
        respa: the region is integrated with RESPA.

    Raises:
        ConfigError: a period has too few steps even with masses four times as large.
    """
    if wanted != "auto":
        return wanted
    if motion.free_hydrogens and not respa:
        return 1.0
    least = motion.steps_per_period(impulse=respa)
    needed = motion.mass_factor(timestep, least)
    if needed > LARGEST_MASS_FACTOR:
        longest = motion.scaled(LARGEST_MASS_FACTOR).vibration.period / least
        raise ConfigError(
            f"timestep: found {timestep * 1000:g} fs, for which the region's masses would have to "
            f"be {needed:g} times as large, allowed: {LARGEST_MASS_FACTOR:g} times; set timestep "
            f"to at most {math.floor(longest * 1e4) / 10:g} fs"
        )
    factor = needed
    if not respa:
        factor = min(motion.mass_factor(timestep, RECOMMENDED_STEPS), LARGEST_MASS_FACTOR)
    if factor > 1:
        _LOGGER.info(
            "the region's masses are multiplied by %g: its fastest vibration (%s, %.1f fs) then "
            "has %.1f steps of %g fs per period",
            factor,
            "-".join(motion.atoms),
            1000 * motion.vibration.period,
            motion.scaled(factor).vibration.period / timestep,
            1000 * timestep,
        )
    return factor

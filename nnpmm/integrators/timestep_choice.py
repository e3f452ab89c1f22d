"""Whether the settings' time step is short enough, and what to do if it is not."""

from __future__ import annotations

import logging
import math
from typing import Literal

from nnpmm.core.errors import ConfigError
from nnpmm.integrators import RegionMotion, TimestepLimit

__all__ = ["check_timestep", "choose_mass_factor"]

_LOGGER = logging.getLogger(__name__)
# Atoms four times as heavy move half as fast. C#N, the fastest bond between heavy atoms, needs a
# factor of 3.4 for 5 fs.
_LARGEST_FACTOR = 4.0


def check_timestep(limit: TimestepLimit, timestep: float, *, setting: str = "timestep") -> None:
    """Check a time step against a limit.

    Args:
        limit: see `nnpmm.integrators.surroundings_limit` and `nnpmm.integrators.region_limit`.
        timestep: ps.
        setting: name of the time step in the settings, for the message.

    Raises:
        ConfigError: the time step is over the limit; the message says why and what to change.
    """
    if timestep > limit.longest * (1 + 1e-6):
        allowed = math.floor(limit.longest * 1e4 + 1e-6) / 10
        raise ConfigError(
            f"{setting}: found {timestep * 1000:g} fs, the limit is {allowed:g} fs: "
            f"{limit.reason}; set {setting} to at most {allowed:g} fs{_alternative(limit)}"
        )


def _alternative(limit: TimestepLimit) -> str:
    """Return what else the user can do, in terms of the settings."""
    return {
        "free hydrogen": ", or constrain bonds to hydrogen where the MM system is made "
        "(system.constraints: HBonds, system.rigid_water: true)",
        "light hydrogen": ", or system.hydrogen_mass to 3 amu and at most 4 fs",
        "free vibration": ", or region.constraints to keep, with the bonds to hydrogen constrained "
        "in the MM system, and region.mass_factor to auto",
        "vibration": ", or region.mass_factor to auto",
        "bonded terms": "",
        "not validated": "",
    }[limit.cause]


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

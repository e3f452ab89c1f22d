"""Check that the time step in the settings is short enough."""

from __future__ import annotations

import math

from nnpmm.core.errors import ConfigError
from nnpmm.integrators import TimestepLimit

__all__ = ["check_timestep"]


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

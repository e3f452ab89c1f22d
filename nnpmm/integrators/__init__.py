"""Time integration: multiple time steps, and masses that allow longer time steps."""

from nnpmm.integrators.inner_potential import InnerPotential, fit_inner_potential
from nnpmm.integrators.mass_factor import choose_mass_factor
from nnpmm.integrators.masses import apply_hydrogen_mass, scale_masses
from nnpmm.integrators.respa import RespaIntegrator, create_respa_integrator
from nnpmm.integrators.respa_of_hybrid import respa
from nnpmm.integrators.splitting import Level
from nnpmm.integrators.time_scales import split_time_scales
from nnpmm.integrators.timestep_limits import (
    RegionMotion,
    TimestepLimit,
    bound_region_motion,
    longest_timestep,
    region_limit,
    region_motion,
    surroundings_limit,
)
from nnpmm.integrators.vibrations import Vibration, fastest_vibration
from nnpmm.integrators.watchdog import RespaWatchdog, WatchdogRanges, WatchdogReading

__all__ = [
    "InnerPotential",
    "Level",
    "RegionMotion",
    "RespaIntegrator",
    "RespaWatchdog",
    "TimestepLimit",
    "Vibration",
    "WatchdogRanges",
    "WatchdogReading",
    "apply_hydrogen_mass",
    "bound_region_motion",
    "choose_mass_factor",
    "create_respa_integrator",
    "fastest_vibration",
    "fit_inner_potential",
    "longest_timestep",
    "region_limit",
    "region_motion",
    "respa",
    "scale_masses",
    "split_time_scales",
    "surroundings_limit",
]

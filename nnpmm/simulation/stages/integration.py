"""The integrator of a run, and checks that it can be stable."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import openmm
from openmm import unit

from nnpmm.core.errors import ConfigError
from nnpmm.coupling import HybridSystem, has_inner_potential
from nnpmm.integrators import (
    RespaWatchdog,
    TimestepLimit,
    create_respa_integrator,
    split_time_scales,
)
from nnpmm.integrators.splitting import parse_splitting
from nnpmm.simulation.preparation.timestep import check_timestep
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.simulation.settings.integrator_config import IntegratorConfig

__all__ = ["check_integrator", "check_time_steps", "create_integrator", "create_watchdog"]


def check_integrator(system: openmm.System, settings: ProtocolConfig) -> None:
    """Check that a hybrid system can be integrated according to the settings.

    Args:
        system: coupled as the integrator needs it; it is not changed.
        settings: of the run.

    Raises:
        ConfigError: time steps that are not multiples of each other, or a system that was not
            coupled for several time steps or has virtual sites, which these cannot move.
    """
    if settings.integrator.type != "respa":
        return
    if settings.ensemble.friction == 0:
        raise ConfigError("ensemble.friction: found 0, respa needs a heat bath: more than 0 1/ps")
    if not has_inner_potential(system):
        raise ConfigError(
            "integrator.type: found respa, but the region has no inner "
            "potential; couple the region with inside=MultipleTimeSteps()"
        )
    tried = copy.deepcopy(system)
    parse_splitting(tried, _split(tried, settings.integrator))


def check_time_steps(
    settings: ProtocolConfig, limit: Callable[[bool], TimestepLimit]
) -> TimestepLimit:
    """Check the time steps of a run against what a part of the system allows; return the limit.

    Args:
        settings: of the run.
        limit: the longest time step; True asks for that of RESPA's slow forces, which is returned
            where there are several steps.

    Raises:
        ConfigError: a time step is over its limit.
    """
    integrator = settings.integrator
    if integrator.inner is None or integrator.outer is None:
        found = limit(False)
        check_timestep(found, settings.timestep)
        return found
    check_timestep(limit(False), integrator.inner, setting="integrator.inner")
    found = limit(True)
    check_timestep(found, integrator.outer, setting="integrator.outer")
    return found


def create_integrator(
    system: openmm.System,
    settings: ProtocolConfig,
    *,
    temperature: float,
    friction: float,
    seed: int,
) -> Any:
    """Return the integrator of a stage; with respa the system's force groups are set, in place.

    Args:
        system: with all forces of the stage.
        settings: of the run.
        temperature: at the beginning of the stage, K.
        friction: Langevin collision rate, 1/ps.
        seed: of its random numbers.
    """
    if settings.integrator.type == "respa":
        return create_respa_integrator(
            system,
            _split(system, settings.integrator),
            temperature=temperature,
            friction=friction,
            seed=seed,
        )
    integrator = openmm.LangevinMiddleIntegrator(
        temperature * unit.kelvin,
        friction / unit.picosecond,
        settings.timestep * unit.picosecond,
    )
    integrator.setRandomNumberSeed(seed)
    return integrator


def create_watchdog(hybrid: HybridSystem, settings: ProtocolConfig) -> RespaWatchdog | None:
    """Return the watchdog of a run with several time steps; None if the settings have none."""
    watched = settings.integrator.watchdog
    if settings.integrator.type != "respa" or watched is None:
        return None
    return RespaWatchdog(
        hybrid.system,
        hybrid.topology,
        hybrid.region.atoms,
        timestep=settings.timestep,
        temperature=settings.ensemble.temperature,
        stop=watched.stop,
    )


def _split(system: openmm.System, integrator: IntegratorConfig) -> list[tuple[Any, int]]:
    return split_time_scales(
        system,
        inner=integrator.inner,
        middle=integrator.middle,
        outer=integrator.outer,
        short_range=integrator.short_range,
    )

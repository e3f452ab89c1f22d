"""The integrator that the settings of a run ask for, and whether it can be stable."""

from __future__ import annotations

import copy
from typing import Any

import openmm
from openmm import unit

from nnpmm.core.errors import ConfigError
from nnpmm.coupling import HybridSystem, has_inner_potential
from nnpmm.integrators import (
    RespaWatchdog,
    TimestepLimit,
    create_respa_integrator,
    region_limit,
    split_time_scales,
    surroundings_limit,
)
from nnpmm.integrators.splitting import parse_splitting
from nnpmm.simulation.preparation.prepared import PreparedSystem
from nnpmm.simulation.preparation.timestep import check_timestep
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.simulation.settings.integrator_config import IntegratorConfig

__all__ = ["check_integrator", "create_integrator", "create_watchdog", "timestep_limits"]


def check_integrator(prepared: PreparedSystem, settings: ProtocolConfig) -> None:
    """Check that the time steps of a run resolve the motions of a hybrid system.

    Args:
        prepared: the hybrid system, coupled as the integrator needs it.
        settings: of the run.

    Raises:
        ConfigError: a time step over its limit, time steps that are not multiples of each other, or
            a system that was not coupled for several time steps or has virtual sites, which these
            cannot move.
    """
    system, integrator = prepared.hybrid.system, settings.integrator
    if integrator.inner is None or integrator.outer is None:
        _check(prepared, settings.timestep, "timestep")
        return
    if settings.ensemble.friction == 0:
        raise ConfigError("ensemble.friction: found 0, respa needs a heat bath: more than 0 1/ps")
    if not has_inner_potential(system):
        raise ConfigError(
            "integrator.type: found respa, but the region has no inner "
            "potential; couple the region with Mechanical(inside=MultipleTimeSteps())"
        )
    _check(prepared, integrator.inner, "integrator.inner")
    _check(prepared, integrator.outer, "integrator.outer", impulse=True)
    tried = copy.deepcopy(system)
    parse_splitting(tried, _split(tried, integrator))


def _check(
    prepared: PreparedSystem, timestep: float, setting: str, *, impulse: bool = False
) -> None:
    """Check a time step (ps) against the limits of the surroundings and of the region."""
    for limit in timestep_limits(prepared, impulse=impulse):
        check_timestep(limit, timestep, setting=setting)


def timestep_limits(prepared: PreparedSystem, *, impulse: bool = False) -> list[TimestepLimit]:
    """Return the longest time steps that the surroundings and the region allow.

    Args:
        prepared: the hybrid system.
        impulse: the step is that of RESPA's slow forces, whose inner forces have shorter steps.
    """
    # Without the network's vibrations the rules for force fields hold for the region as well.
    hybrid = prepared.hybrid
    region = () if prepared.motion is None else hybrid.region.atoms
    limits = [surroundings_limit(hybrid.system, hybrid.topology, region, impulse=impulse)]
    if prepared.motion is not None:
        limits.append(region_limit(prepared.motion, impulse=impulse))
    return limits


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
    """Return what watches a run with several time steps; None where the settings want none."""
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

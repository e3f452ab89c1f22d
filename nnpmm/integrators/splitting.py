"""Which forces are integrated with which time step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import openmm
from openmm import unit

from nnpmm.core.errors import ConfigError
from nnpmm.core.units import in_md_units
from nnpmm.coupling.forces import FORCELESS
from nnpmm.coupling.nonbonded import EWALD_METHODS

__all__ = ["Level", "parse_splitting"]

_LARGEST_GROUP = 31  # OpenMM's
# Ratios of time steps given in fs or ps are integers within this.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Level:
    """Forces that are evaluated equally often.

    Args:
        timestep: time between two evaluations, ps.
        substeps: how many of these steps make one of the next slower level; 1 for the slowest.
        groups: OpenMM's force groups.
    """

    timestep: float
    substeps: int
    groups: tuple[int, ...]


def parse_splitting(
    system: openmm.System, splitting: Sequence[tuple[Any, int | Iterable[int]]]
) -> tuple[Level, ...]:
    """Check a splitting against a system, and return its levels from slow to fast.

    Args:
        system: whose force groups are split.
        splitting: pairs of a time step (ps or a Quantity) and force groups, in any order.

    Raises:
        ConfigError: a force group without a time step or with two, one that has no force, time
            steps that are not positive or not multiples of each other, or virtual sites.
    """
    _refuse_virtual_sites(system)
    given = sorted(
        ((_timestep(step), _groups(groups)) for step, groups in splitting), key=lambda x: -x[0]
    )
    _check_groups(system, [group for _, groups in given for group in groups])
    levels: list[Level] = []
    for step, groups in given:
        if not levels:
            levels.append(Level(step, 1, groups))
            continue
        ratio = levels[-1].timestep / step
        substeps = round(ratio)
        if substeps < 2 or abs(ratio - substeps) > _ROUNDING * ratio:
            raise ConfigError(
                f"found time steps of {levels[-1].timestep * 1000:g} and {step * 1000:g} fs, of "
                f"which one is {ratio:.4g} times the other; allowed: whole numbers from 2"
            )
        # From the slowest down, so that the levels' steps add up exactly.
        levels.append(Level(levels[-1].timestep / substeps, substeps, groups))
    return tuple(levels)


def _refuse_virtual_sites(system: openmm.System) -> None:
    """Refuse virtual sites, which OpenMM would not move within a step.

    Its CPU and Reference platforms place them only at the end of a CustomIntegrator's step, and
    have no operation for this within a step, so every force would act on their old positions.
    """
    sites = sum(system.isVirtualSite(index) for index in range(system.getNumParticles()))
    if sites:
        raise ConfigError(
            f"found {sites} virtual site(s), as in four-site water; allowed with RESPA: none, as "
            "OpenMM's CPU and Reference platforms move them only at the end of a step; use a water "
            "model without them, or an integrator with a single time step"
        )


def _timestep(value: Any) -> float:
    step = float(in_md_units(value, unit.picosecond))
    if not 0 < step < float("inf"):
        raise ConfigError(f"found a time step of {step * 1000:g} fs, allowed: more than 0 fs")
    return step


def _groups(groups: int | Iterable[int]) -> tuple[int, ...]:
    found = (groups,) if isinstance(groups, int) else tuple(sorted(int(g) for g in groups))
    if not found or found[0] < 0 or found[-1] > _LARGEST_GROUP:
        raise ConfigError(f"found the force groups {found}, allowed: 0 to {_LARGEST_GROUP}")
    return found


def _check_groups(system: openmm.System, given: list[int]) -> None:
    twice = sorted({group for group in given if given.count(group) > 1})
    if twice:
        raise ConfigError(f"the force groups {twice} have more than one time step; give each one")
    present = _force_names(system)
    if missing := sorted(set(present) - set(given)):
        listed = "; ".join(f"{group} ({', '.join(present[group])})" for group in missing)
        raise ConfigError(f"no time step for the force groups {listed}; every one needs one")
    if unknown := sorted(set(given) - set(present)):
        raise ConfigError(
            f"the force groups {unknown} contain no force; those of the system are "
            f"{sorted(present)}"
        )


def _force_names(system: openmm.System) -> dict[int, list[str]]:
    """Return the names of the forces in each group, without those that exert none."""
    names: dict[int, list[str]] = {}
    for force in system.getForces():
        if isinstance(force, FORCELESS):
            continue
        names.setdefault(force.getForceGroup(), []).append(force.getName())
        if isinstance(force, openmm.NonbondedForce) and force.getNonbondedMethod() in EWALD_METHODS:
            group = force.getReciprocalSpaceForceGroup()
            if group >= 0:
                names.setdefault(group, []).append(f"{force.getName()}, reciprocal space")
    return names

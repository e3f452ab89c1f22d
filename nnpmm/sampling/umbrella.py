r"""Umbrella windows: V = sum_i k_i/2 (s_i - c_i)^2 with centres that are context parameters.

Torrie and Valleau, J. Comput. Phys. 1977, 23, 187. All windows are states of one context, so that
replica exchange can sample them, and MBAR has the energies in all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import openmm

from nnpmm.core.errors import ConfigError
from nnpmm.sampling.variables import Variable

__all__ = ["UmbrellaVariable", "create_umbrella", "umbrella_states", "unbiased_state"]

_SCALE = "umbrella_scale"
_MOST_WINDOWS = 200


@dataclass(frozen=True)
class UmbrellaVariable:
    """A variable that is restrained in windows.

    Attributes:
        variable: the restrained variable.
        centres: of the windows, in its unit.
        force_constant: k, kJ/mol per unit squared.
    """

    variable: Variable
    centres: tuple[float, ...]
    force_constant: float


def create_umbrella(variables: Sequence[UmbrellaVariable]) -> openmm.CustomCVForce:
    """Return the force of all windows; differences of periodic variables are the shortest ones.

    Args:
        variables: the restrained variables.

    Raises:
        ConfigError: no variables, or a force constant that is not positive.
    """
    if not variables:
        raise ConfigError("windows: found no variable, allowed: one or more")
    terms: list[str] = []
    definitions: list[str] = []
    for index, each in enumerate(variables):
        name = each.variable.name
        if not each.force_constant > 0:
            raise ConfigError(
                f"windows.{name}.force_constant: found {each.force_constant:g}, allowed: above 0"
            )
        terms.append(f"{0.5 * each.force_constant!r}*d{index}^2")
        difference = f"s{index} - {_center(name)}"
        period = each.variable.period
        if period is not None:
            difference = f"r{index} - {period!r}*floor(r{index}/{period!r} + 0.5)"
            definitions.insert(0, f"r{index} = s{index} - {_center(name)}")
        definitions.insert(0, f"d{index} = {difference}")
    force = openmm.CustomCVForce("; ".join([f"{_SCALE}*({' + '.join(terms)})", *definitions]))
    force.setName("umbrella")
    force.addGlobalParameter(_SCALE, 1.0)
    for index, each in enumerate(variables):
        force.addGlobalParameter(_center(each.variable.name), each.centres[0])
        force.addCollectiveVariable(f"s{index}", each.variable.create_force())
    return force


def umbrella_states(variables: Sequence[UmbrellaVariable]) -> tuple[dict[str, float], ...]:
    """Return the windows as states of a context: all combinations of the centres.

    Raises:
        ConfigError: there are too many.
    """
    combinations = list(itertools.product(*(each.centres for each in variables)))
    if len(combinations) > _MOST_WINDOWS:
        raise ConfigError(
            f"windows: found {len(combinations)} windows, allowed: up to {_MOST_WINDOWS}; use "
            "fewer centres"
        )
    names = [_center(each.variable.name) for each in variables]
    return tuple({_SCALE: 1.0, **dict(zip(names, each, strict=True))} for each in combinations)


def unbiased_state(variables: Sequence[UmbrellaVariable]) -> dict[str, float]:
    """Return the state without restraint."""
    return {**umbrella_states(variables)[0], _SCALE: 0.0}


def _center(name: str) -> str:
    return f"umbrella_center_{name}"

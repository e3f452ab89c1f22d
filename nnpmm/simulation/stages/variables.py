"""The collective variables of a run, as its settings name them."""

from __future__ import annotations

from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.errors import ConfigError
from nnpmm.core.units import parse_quantity
from nnpmm.sampling import BiasGrid, UmbrellaVariable, check_grids, grid_of
from nnpmm.sampling.variables import Structure, Variable, bind_variables
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.simulation.settings.sampling_config import (
    MetadynamicsConfig,
    UmbrellaConfig,
    WindowsConfig,
)
from nnpmm.structures import MMSystem

__all__ = [
    "bias_grids",
    "check_sampling",
    "observed_values",
    "run_variables",
    "umbrella_variables",
]

_CONSTANTS = {
    "nm": unit.kilojoule_per_mole / unit.nanometer**2,
    "rad": unit.kilojoule_per_mole / unit.radian**2,
    "": unit.kilojoule_per_mole,
}


def run_variables(mm: MMSystem, settings: ProtocolConfig) -> dict[str, Variable]:
    """Return the variables of a run by name; none where it has none.

    Raises:
        NnpmmError: see `nnpmm.sampling.variables.bind_variables`.
    """
    if settings.sampling is None:
        return {}
    structure = Structure.of(mm.topology, mm.positions, mm.system, mm.box_vectors)
    return bind_variables(settings.sampling.variables, structure)


def bias_grids(
    sampling: MetadynamicsConfig, variables: dict[str, Variable], temperature: float
) -> list[BiasGrid]:
    """Return the grids of the variables that metadynamics biases, in their order.

    Raises:
        ConfigError: a width or a range that does not fit its variable.
    """
    grids = []
    for name, width in sampling.widths.items():
        variable, ends = variables[name], sampling.ranges.get(name)
        limits = None
        if ends is not None:
            low, high = (variable.parse(end, f"sampling.ranges.{name}") for end in ends)
            limits = (low, high)
        parsed = variable.parse(width, f"sampling.widths.{name}")
        grids.append(grid_of(variable, parsed, limits, temperature=temperature))
    check_grids(grids)
    return grids


def umbrella_variables(
    sampling: UmbrellaConfig, variables: dict[str, Variable]
) -> list[UmbrellaVariable]:
    """Return the variables that windows restrain, with their centres.

    Raises:
        ConfigError: a centre or a force constant in another unit.
    """
    return [
        UmbrellaVariable(
            variables[name],
            _centers(windows, variables[name], f"sampling.windows.{name}"),
            _force_constant(windows.force_constant, variables[name], name),
        )
        for name, windows in sampling.windows.items()
    ]


def _centers(windows: WindowsConfig, variable: Variable, what: str) -> tuple[float, ...]:
    if windows.range is None or windows.count is None:
        return tuple(variable.parse(each, f"{what}.centers") for each in windows.centers or ())
    first, last = (variable.parse(end, f"{what}.range") for end in windows.range)
    return tuple(np.linspace(first, last, windows.count).tolist())


def _force_constant(value: Any, variable: Variable, name: str) -> float:
    try:
        return parse_quantity(value, _CONSTANTS[variable.unit])
    except ConfigError as error:
        raise ConfigError(f"sampling.windows.{name}.force_constant: {error}") from error


def check_sampling(mm: MMSystem, settings: ProtocolConfig) -> None:
    """Check that the variables of a run exist and can be biased according to its settings.

    Raises:
        NnpmmError: they are not, or cannot.
    """
    sampling, variables = settings.sampling, run_variables(mm, settings)
    if isinstance(sampling, MetadynamicsConfig):
        bias_grids(sampling, variables, settings.ensemble.temperature)
    if isinstance(sampling, UmbrellaConfig):
        umbrella_variables(sampling, variables)


def observed_values(context: openmm.Context, variables: dict[str, Variable]) -> NDArray[np.float64]:
    """Return the values (m,) of variables at the positions of a context."""
    if not variables:
        return np.empty(0)
    state = context.getState(positions=True)
    positions = np.asarray(state.getPositions(asNumpy=True)._value, dtype=np.float64)
    periodic = context.getSystem().usesPeriodicBoundaryConditions()
    box = np.asarray(state.getPeriodicBoxVectors(asNumpy=True)._value) if periodic else None
    return np.array([each.evaluate(positions, box) for each in variables.values()])

"""Check the temperature and the density of a run at the start of production."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.simulation.preparation.density import ExpectedDensity
from nnpmm.simulation.record.energy_log import Thermometer, read_log
from nnpmm.simulation.settings.config import ProtocolConfig
from nnpmm.simulation.stages.stages import Stage, constant_from, plan_stages

__all__ = ["temperature_limit", "warn_unless_equilibrated"]

_LOGGER = logging.getLogger(__name__)
# A difference is reported if it exceeds both the statistical error and the effect of the time step
# on the kinetic energy.
_STANDARD_ERRORS, _LEAST_FRACTION = 4.0, 0.02


def warn_unless_equilibrated(
    log: Path,
    context: openmm.Context,
    settings: ProtocolConfig,
    thermometer: Thermometer,
    expected: ExpectedDensity | None,
) -> None:
    """Warn if the temperature or the density at the start of production is not as expected.

    Averages are over the end of the stage before production: the second half of the equilibration,
    or the part of the warm-up at its final temperature. If the log has no row there, the current
    state is checked.

    Args:
        log: CSV log of the run.
        context: at the beginning of production.
        settings: of the run.
        thermometer: of the system.
        expected: density of a built box, judged under NPT.
    """
    before = next((s for s in reversed(plan_stages(settings)) if not s.writes_frames), None)
    temperatures, volumes = _readings(log, before, context, thermometer)
    if before is not None:  # else the velocities have just been drawn at that temperature
        _check_temperature(temperatures, before, settings, thermometer.degrees_of_freedom)
    if expected is not None and settings.ensemble.type == "NPT":
        _check_density(thermometer.density(float(volumes.mean())), expected)


def _check_temperature(
    temperatures: NDArray[np.float64],
    before: Stage,
    settings: ProtocolConfig,
    degrees_of_freedom: int,
) -> None:
    """Warn if the average temperature (K) deviates by more than chance explains."""
    found, wanted = float(temperatures.mean()), settings.ensemble.temperature
    interval = before.friction * settings.output.log_interval
    limit = temperature_limit(wanted, degrees_of_freedom, len(temperatures), interval)
    if abs(found - wanted) > limit:
        _LOGGER.warning(
            "production begins at %.0f K (average over the end of %s, +-%.0f K by chance), the "
            "ensemble has %.0f K: make stages.warmup and stages.equilibrate longer",
            found,
            before.name,
            limit,
            wanted,
        )


def _check_density(density: float, expected: ExpectedDensity) -> None:
    """Warn if a density (g/ml) is outside the tolerance of the expected one."""
    if abs(density - expected.density) > expected.tolerance:
        _LOGGER.warning(
            "production begins at a density of %.3f g/ml, expected is %.3f ± %.3f g/ml (pure %s "
            "water: %.3f g/ml): make stages.equilibrate longer",
            density,
            expected.density,
            expected.tolerance,
            expected.water_model,
            expected.water,
        )


def temperature_limit(
    temperature: float, degrees_of_freedom: int, n_readings: int, friction_interval: float
) -> float:
    r"""Return how far (K) an average kinetic temperature may deviate by chance.

    The kinetic temperature of f degrees of freedom has the standard deviation T sqrt(2/f). Under
    Langevin dynamics, its correlation time is about the inverse of the friction, so n readings at
    intervals dt correspond to n / (1 + 2 / (friction dt)) independent ones, and at least to one.

    Args:
        temperature: of the ensemble, K.
        degrees_of_freedom: f.
        n_readings: number of averaged readings.
        friction_interval: friction times the time between readings.

    Returns:
        Four standard errors, but no less than 2 % of the temperature.
    """
    inefficiency = 1.0 + 2.0 / friction_interval if friction_interval > 0 else math.inf
    independent = max(1.0, n_readings / inefficiency)
    error = temperature * math.sqrt(2.0 / (degrees_of_freedom * independent))
    return max(_STANDARD_ERRORS * error, _LEAST_FRACTION * temperature)


def _readings(
    log: Path, before: Stage | None, context: openmm.Context, thermometer: Thermometer
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return temperatures (K) and volumes (nm^3) at the end of the stage before production."""
    if before is not None and log.is_file():
        stages, columns = read_log(log)
        first = constant_from(before) or before.n_steps // 2
        rows = (np.array(stages) == before.name) & (columns["step"] > first)
        if rows.any():
            return columns["temperature_k"][rows], columns["volume_nm3"][rows]
    state = context.getState(energy=True)
    kinetic = state.getKineticEnergy().value_in_unit(unit.kilojoule_per_mole)
    volume = state.getPeriodicBoxVolume().value_in_unit(unit.nanometer**3)
    return np.array([thermometer.temperature(kinetic)]), np.array([volume])

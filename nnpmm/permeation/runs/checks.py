"""Checks of a run: the solute's height, the area of the bilayer, and the temperature."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import SimulationError
from nnpmm.permeation.features import FeatureTable
from nnpmm.permeation.martini.engines import Restraint, StageResult
from nnpmm.permeation.runs.protocol import ProtocolSettings

__all__ = ["check_heights", "check_membrane_run", "check_temperature"]

_FARTHEST = 0.5  # nm from the reference of the restraint: ten standard deviations
_AREAS = (0.40, 1.00)  # nm^2 per lipid; fluid Martini bilayers have 0.58 to 0.80
_TEMPERATURE_TOLERANCE = 0.05


def check_heights(heights: NDArray[Any], restraint: Restraint) -> None:
    """Check that the solute stayed at the height of its restraint.

    Args:
        heights: (frames,) nm above the centre of the lipids.
        restraint: of the run.

    Raises:
        SimulationError: it did not.
    """
    inside = np.abs(heights - restraint.z) < _FARTHEST
    if not np.all(inside):
        frame = int(np.argmin(inside))
        raise SimulationError(
            f"the solute leaked: {heights[frame]:.2f} nm from the bilayer's centre in frame "
            f"{frame + 1}, allowed {restraint.z:g} ± {_FARTHEST} nm"
        )


def check_membrane_run(table: FeatureTable, settings: ProtocolSettings) -> None:
    """Check the height of the solute and the area per lipid.

    Raises:
        SimulationError: the solute left its restraint, or the area is not that of a fluid bilayer.
    """
    check_heights(table.heights, settings.restraint)
    area = float(table.values[:, 1].mean())
    if not _AREAS[0] < area < _AREAS[1]:
        raise SimulationError(
            f"the bilayer fell apart: {area:.2f} nm^2 per lipid, allowed {_AREAS[0]} to {_AREAS[1]}"
        )


def check_temperature(result: StageResult, settings: ProtocolSettings) -> None:
    """Check that the thermostat kept the mean temperature within 5 %.

    Raises:
        SimulationError: it did not.
    """
    mean = float(result.observables["temperature"][1:].mean())
    if not abs(mean / settings.temperature - 1.0) < _TEMPERATURE_TOLERANCE:
        raise SimulationError(
            f"the run blew up: mean temperature {mean:.0f} K, asked for {settings.temperature:g} K"
        )

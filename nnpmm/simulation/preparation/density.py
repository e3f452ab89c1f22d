"""The density of a newly built box of water, and its expected density."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
import openmm
from openmm import app, unit

from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML, GAS_CONSTANT
from nnpmm.core.units import in_md_units
from nnpmm.simulation.record.energy_log import (
    density_of,
    particle_masses,
)
from nnpmm.simulation.settings.config import EnsembleConfig
from nnpmm.structures.selection import is_water

__all__ = ["ExpectedDensity", "expected_density", "warn_of_constant_volume"]

_LOGGER = logging.getLogger(__name__)
# g/ml at 298 K and 1 bar with PME. J. Phys. Chem. Lett. 2014, 5, 3863 (OPC; TIP3P, SPC/E and
# TIP4P-Ew in comparison), J. Chem. Phys. 2016, 145, 074501 (OPC3), J. Phys. Chem. Lett. 2014, 5,
# 1885 (TIP3P-FB, TIP4P-FB).
_WATER_DENSITIES = {
    "tip3p": 0.985,
    "tip3pfb": 0.995,
    "spce": 0.997,
    "opc3": 0.991,
    "opc": 0.997,
    "tip4pew": 0.995,
    "tip4pfb": 0.996,
}
# Thermal expansion around 298 K, 1/K, in the first of these papers: 9.2e-4 with TIP3P, 2.7e-4 to
# 5.0e-4 with OPC, TIP4P-Ew and SPC/E.
_EXPANSION = {"tip3p": 9e-4}
_OTHER_EXPANSION = 4e-4
# K, bar: where these numbers hold within the tolerance, a fraction of the water's volume. At the
# ends of the ranges, the differences in expansion between models (1.3e-4 / K in 35 K) and the
# pressure, which the estimate ignores (100 bar times the compressibility below), contribute 0.5 %
# each; the rest is for cutoffs.
_TEMPERATURES, _PRESSURES = (273.0, 333.0), (0.1, 100.0)
_WATER_TOLERANCE = 0.015
# g/ml, and a fraction of the solute's volume: the range from small polar molecules, slightly denser
# than water, to proteins with a partial specific volume of 0.73 to 0.74 ml/g, or 1.36 g/ml.
_SOLUTE_DENSITY, _SOLUTE_TOLERANCE = 1.2, 0.15
_COMPRESSIBILITY = 4.5e-5  # 1/bar, of water at 298 K: J. Chem. Eng. Data 1975, 20, 97
_NM3_BAR_IN_KJ = 0.0602214076  # 1 bar nm^3 = 1e-22 J, per mole in kJ
_WATER_MASS = 18.015  # amu


@dataclass(frozen=True)
class ExpectedDensity:
    """Density of a solute in water under pressure control, within a tolerance.

    Attributes:
        density: expected, g/ml.
        tolerance: largest difference (g/ml) that the estimate and the fluctuation of the volume
            explain.
        water: density of the pure water model at the same temperature, g/ml.
        water_model: its name.
    """

    density: float
    tolerance: float
    water: float
    water_model: str


def expected_density(
    topology: app.Topology, system: openmm.System, water_model: str, ensemble: EnsembleConfig
) -> ExpectedDensity | None:
    """Estimate the density of a built box from the volumes of its water and its solute.

    Args:
        topology: of the box.
        system: the MM system, with unscaled masses.
        water_model: as in the settings.
        ensemble: temperature and pressure.

    Returns:
        The estimate; None where the model's density at that temperature or pressure is not known,
        or without water.
    """
    known = _TEMPERATURES[0] <= ensemble.temperature <= _TEMPERATURES[1]
    known &= _PRESSURES[0] <= ensemble.pressure <= _PRESSURES[1]
    n_waters = sum(is_water(residue) for residue in topology.residues())
    if not known or n_waters == 0:
        return None
    total = sum(particle_masses(system))
    expansion = _EXPANSION.get(water_model, _OTHER_EXPANSION)
    water = _WATER_DENSITIES[water_model] * (1 - expansion * (ensemble.temperature - 298.15))
    water_volume = n_waters * _WATER_MASS * DALTON_PER_NM3_IN_G_PER_ML / water
    solute_volume = (total - n_waters * _WATER_MASS) * DALTON_PER_NM3_IN_G_PER_ML / _SOLUTE_DENSITY
    volume = water_volume + solute_volume
    thermal = GAS_CONSTANT * ensemble.temperature / _NM3_BAR_IN_KJ  # nm^3 bar
    fluctuation = math.sqrt(thermal * _COMPRESSIBILITY * volume)
    slack = _WATER_TOLERANCE * water_volume + _SOLUTE_TOLERANCE * solute_volume + 2 * fluctuation
    density = density_of(total, volume)
    return ExpectedDensity(density, density * slack / volume, water, water_model)


def warn_of_constant_volume(system: openmm.System, water_model: str) -> None:
    """Warn that a built box keeps the density at which it was built."""
    box = in_md_units(system.getDefaultPeriodicBoxVectors(), unit.nanometer)
    volume = abs(np.linalg.det(box))
    density = density_of(sum(particle_masses(system)), volume)
    _LOGGER.warning(
        "ensemble.type: NVT keeps the built box at its density of %.3f g/ml, pure %s water has "
        "%.3f g/ml at 298 K: leave out type, or set NPT",
        density,
        water_model,
        _WATER_DENSITIES[water_model],
    )

"""Thermostats and barostats of an MM system, which the settings of a run replace."""

from __future__ import annotations

import logging

import openmm

from nnpmm.core.errors import ConfigError
from nnpmm.structures.inputs.sources import Ensemble

__all__ = ["remove_ensemble_forces"]

_LOGGER = logging.getLogger(__name__)
_REPLACEABLE = (
    openmm.AndersenThermostat,
    openmm.MonteCarloBarostat,
    openmm.RPMDMonteCarloBarostat,
)
# These also change the shape of the box: the isotropic barostat would sample another ensemble.
_OTHER_SHAPES = (
    openmm.MonteCarloAnisotropicBarostat,
    openmm.MonteCarloFlexibleBarostat,
    openmm.MonteCarloMembraneBarostat,
)


def remove_ensemble_forces(system: openmm.System, ensemble: Ensemble) -> None:
    """Remove thermostats and barostats from an MM system, in place, and log which.

    They would act in addition to those of the run's ensemble. They are recognized by their class.

    Args:
        system: the MM system.
        ensemble: what the run will sample.

    Raises:
        ConfigError: the isotropic barostat of the settings would replace one of another kind.
    """
    removed = []
    for k in reversed(range(system.getNumForces())):
        force = system.getForce(k)
        kind = type(force).__name__
        if isinstance(force, _OTHER_SHAPES) and ensemble == "NPT":
            raise ConfigError(
                f"ensemble.type: found NPT, and a {kind} in the MM system; allowed: the isotropic "
                "MonteCarloBarostat, which would replace it: set NVT, or remove it from the system"
            )
        if isinstance(force, _REPLACEABLE + _OTHER_SHAPES):
            removed.append(kind)
            system.removeForce(k)
    if removed:
        _LOGGER.warning(
            "the MM system's %s is left out: the section 'ensemble' (%s) takes its place",
            ", ".join(sorted(removed)),
            ensemble,
        )

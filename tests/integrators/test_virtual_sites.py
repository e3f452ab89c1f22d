"""Virtual sites with multiple time steps are refused, since OpenMM does not update them."""

from __future__ import annotations

import numpy as np
import openmm
import pytest

from nnpmm.core.errors import ConfigError
from nnpmm.integrators import create_respa_integrator
from nnpmm.simulation import parse_config
from nnpmm.simulation.runner import prepare_system
from nnpmm.simulation.stages.integration import check_integrator

WEIGHTS = (0.8, 0.1, 0.1)


def water_with_a_site(force):
    """Three particles and a virtual site, with one force."""
    system = openmm.System()
    for mass in (16.0, 1.0, 1.0, 0.0):
        system.addParticle(mass)
    system.setVirtualSite(3, openmm.ThreeParticleAverageSite(0, 1, 2, *WEIGHTS))
    system.addForce(force)
    return system


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_openmm_updates_virtual_sites_only_at_the_end_of_a_step(platform):
    """This is the reason for the refusal. A new version of OpenMM may remove it."""
    behind = []

    def notice(state):
        x = state.getPositions(asNumpy=True)._value
        behind.append(np.abs(x[3] - np.array(WEIGHTS) @ x[:3]).max())
        return 0.0, np.zeros_like(x)

    integrator = openmm.CustomIntegrator(0.001)
    operations = (
        integrator.addUpdateContextState,
        integrator.addConstrainPositions,
        integrator.addConstrainVelocities,
    )
    for operation in operations:
        integrator.addComputePerDof("x", "x+dt*v")
        operation()
        integrator.addComputePerDof("v", "v+dt*f/m")
    system = water_with_a_site(openmm.PythonForce(notice))
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform))
    context.setPositions([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0]])
    context.computeVirtualSites()
    context.setVelocities([[1, 2, 3], [1, 0, 0], [0, 3, 0], [0, 0, 0]])
    integrator.step(1)
    np.testing.assert_allclose(behind, [0.0024, 0.0048, 0.0072], rtol=0, atol=1e-6)


def test_virtual_sites_are_refused():
    system = water_with_a_site(openmm.HarmonicBondForce())
    with pytest.raises(ConfigError, match=r"found 1 virtual site.s., as in four-site .*: none"):
        create_respa_integrator(system, [(0.001, [0])])


def test_run_with_four_site_water_is_refused_before_it_begins():
    config = parse_config(
        {
            "system": {
                "type": "build",
                "smiles": "CO",
                "padding": "0.6 nm",
                "cutoff": "0.7 nm",
                "water_model": "tip4pew",
            },
            "region": {"model": "ANI-1x", "members": 0},
            "integrator": {"type": "respa", "inner": "0.5 fs", "outer": "2 fs"},
            "stages": {"production": {"length": "1 ps"}},
        }
    )
    with pytest.raises(ConfigError, match=r"virtual site.s., as in four-site water; .*single time"):
        check_integrator(prepare_system(config).hybrid.system, config)

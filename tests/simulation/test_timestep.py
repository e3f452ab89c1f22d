from __future__ import annotations

import openmm
import pytest
from openmm import unit

from nnpmm.errors import ConfigError
from nnpmm.simulation import check_timestep


def make(hydrogen=1.008, constrained=True, water=False):
    """A C-H pair, and perhaps a rigid water, whose hydrogens keep 1 amu."""
    system = openmm.System()
    system.addParticle(12.0)
    system.addParticle(hydrogen)
    if constrained:
        system.addConstraint(0, 1, 0.11)
    if water:
        for mass in (16.0, 1.008, 1.008):
            system.addParticle(mass)
        for pair in ((2, 3), (2, 4), (3, 4)):
            system.addConstraint(*pair, 0.1)
    return system


@pytest.mark.parametrize(
    ("system", "region", "limit_fs"),
    [
        (make(constrained=False), (), 1),
        (make(2.0, constrained=False), (), 1),
        (make(3.0, constrained=False), (), 2),
        (make(), (), 2),
        (make(3.0), (), 4),
        (make(3.0, water=True), (), 4),
        (make(), (0, 1), 1),
        (make(3.0), (0, 1), 2),
        (make(3.0), (0,), 4),
    ],
)
def test_limit_follows_the_hydrogens(system, region, limit_fs):
    check_timestep(system, limit_fs * unit.femtosecond, region)
    with pytest.raises(ConfigError, match=rf"the limit is {limit_fs} fs: .*; set timestep to"):
        check_timestep(system, (limit_fs + 0.5) * 1e-3, region)

"""Every non-bonded method against openmm-ml's mechanical embedding, without networks."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from cases import solvated_ligand

from nnpmm import create_hybrid_system, load_model
from nnpmm.coupling import Role, role_of

METHODS = ("NoCutoff", "CutoffNonPeriodic", "CutoffPeriodic", "Ewald", "PME", "LJPME")


@pytest.fixture(scope="module")
def openmmml():
    """openmm-ml with a potential that adds no force."""
    module = pytest.importorskip("openmmml")
    from openmmml.mlpotential import MLPotentialImpl, MLPotentialImplFactory

    class Nothing(MLPotentialImpl):
        def addForces(self, topology, system, atoms, forceGroup, **arguments):
            pass

        def getMLLongRange(self):
            return False

    class Factory(MLPotentialImplFactory):
        def createImpl(self, name, **arguments):
            return Nothing()

    module.MLPotential.registerImplFactory("nothing", Factory())
    return module


@pytest.mark.parametrize("method", METHODS)
def test_mm_part_equals_openmmml(openmmml, method):
    case = solvated_ligand("CCO", getattr(openmm.NonbondedForce, method))
    peer = openmmml.MLPotential("nothing").createMixedSystem(
        case.topology, case.system, case.region.tolist()
    )
    hybrid = create_hybrid_system(
        case.system, case.topology, case.region, load_model("ANI-1x", members=0)
    )
    groups = {f.getForceGroup() for f in hybrid.getForces() if role_of(f) is not Role.NETWORK}
    found, expected = case.state(hybrid, groups=groups), case.state(peer)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6)

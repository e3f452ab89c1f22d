"""A region that cuts a bond, through the settings of ``nnpmm run``."""

from __future__ import annotations

import numpy as np
import openmm
import pytest

from nnpmm.core.errors import RegionError
from nnpmm.coupling import Role, role_of
from nnpmm.coupling.link_atoms import CappedEvaluator
from nnpmm.simulation import parse_config
from nnpmm.simulation.record.energy_log import RegionMonitor
from nnpmm.simulation.runner import prepare_system

# Half of ethanol: CH2OH, with CH3 outside.
HALF = "resname MOL and index 1 2 6 7 8"


def settings(**region):
    return parse_config(
        {
            "system": {"type": "build", "smiles": "CCO", "padding": "0.6 nm", "cutoff": "0.7 nm"},
            "region": {"selection": HALF, "model": "ANI-1x", "members": 0, **region},
            "stages": {"production": {"length": "1 ps"}},
        }
    )


def test_the_log_reads_the_capped_network(monkeypatch):
    prepared = prepare_system(settings(link_atoms=True))
    assert prepared.hybrid.region.atoms.tolist() == [1, 2, 6, 7, 8]
    assert prepared.hybrid.region.network_atoms.tolist() == [1, 2, 6, 7, 8, 0]
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(prepared.hybrid.system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(prepared.mm.positions)
    (force,) = [f for f in prepared.hybrid.system.getForces() if role_of(f) is Role.NETWORK]
    state = context.getState(energy=True, groups={force.getForceGroup()})
    monitor = RegionMonitor(prepared.hybrid)
    monkeypatch.delattr(CappedEvaluator, "evaluate")  # the last step is found again
    found = monitor.read(np.asarray(prepared.mm.positions), np.asarray(prepared.mm.box_vectors))
    assert found.energy == pytest.approx(state.getPotentialEnergy()._value, abs=1e-3)


def test_a_cut_bond_is_an_error_without_them():
    with pytest.raises(RegionError, match=r"cuts 1 covalent bond .*region.link_atoms"):
        prepare_system(settings())

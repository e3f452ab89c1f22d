"""A region that cuts a bond, through the settings of ``nnpmm run``."""

from __future__ import annotations

import numpy as np
import openmm
import pytest

from nnpmm.core.errors import ConfigError, RegionError
from nnpmm.coupling import LinkAtoms, Role, role_of
from nnpmm.coupling.link_atoms import CappedEvaluator
from nnpmm.simulation import parse_config
from nnpmm.simulation.record.energy_log import RegionMonitor
from nnpmm.simulation.runner import link_atoms, prepare_system

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


def test_log_has_the_energy_of_the_capped_network(monkeypatch):
    prepared = prepare_system(settings(link_atoms=True))
    assert prepared.hybrid.region.atoms.tolist() == [1, 2, 6, 7, 8]
    assert prepared.hybrid.region.network_atoms.tolist() == [1, 2, 6, 7, 8, 0]
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(prepared.hybrid.system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(prepared.mm.positions)
    (force,) = [f for f in prepared.hybrid.system.getForces() if role_of(f) is Role.NETWORK]
    state = context.getState(energy=True, groups={force.getForceGroup()})
    monitor = RegionMonitor(prepared.hybrid)
    monkeypatch.delattr(CappedEvaluator, "evaluate")  # the energy of the last step is reused
    found = monitor.read(np.asarray(prepared.mm.positions), np.asarray(prepared.mm.box_vectors))
    assert found.energy == pytest.approx(state.getPotentialEnergy()._value, abs=1e-3)


def test_cut_bond_without_link_atoms_is_refused():
    with pytest.raises(RegionError, match=r"cuts 1 covalent bond .*region.link_atoms"):
        prepare_system(settings())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (False, None),
        (True, LinkAtoms()),
        ("any single", LinkAtoms("any single")),
        (["C-C", "C-S"], LinkAtoms(("C-C", "C-S"))),
        ({"bonds": "amide"}, LinkAtoms("amide")),
        (
            {"bonds": ["C-N"], "distances": {"N-C": "0.102 nm"}, "charges": "shift"},
            LinkAtoms(("C-N",), {"N-C": 0.102}, "shift"),
        ),
    ],
)
def test_values_of_link_atoms(value, expected):
    assert link_atoms(settings(link_atoms=value)) == expected


def test_setting_survives_a_round_trip():
    """A resumed run reads the saved settings."""
    choice = {"bonds": ["C-N"], "distances": {"N-C": "0.102 nm"}, "charges": "shift"}
    config = settings(link_atoms=choice)
    again = parse_config(config.model_dump(mode="json", exclude_none=True))
    assert again.region.link_atoms == config.region.link_atoms


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("C-X", r"region.link_atoms.bonds: found the bond 'C-X', allowed: two of .*'any single'"),
        ({"bonds": []}, r"region.link_atoms.bonds: found no kind of bond"),
        ({"bond": "C-C"}, "unknown key 'bond' in 'region.link_atoms'"),
        ({"charges": "move"}, r"region.link_atoms.charges: .*keep.*shift"),
        ({"distances": {"C-N": "1.1 nm"}}, r"region.link_atoms.distances: found the distance 1.1"),
        (3, r"region.link_atoms: "),
    ],
)
def test_invalid_settings_are_refused(value, message):
    with pytest.raises(ConfigError, match=message):
        settings(link_atoms=value)

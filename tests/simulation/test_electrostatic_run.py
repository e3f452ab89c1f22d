"""Electrostatic embedding through the settings of ``nnpmm run`` and ``nnpmm solvation``."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from conftest import load_aimnet

from nnpmm.core.errors import ConfigError, ModelError
from nnpmm.coupling import LAMBDA_EMBEDDING, LAMBDA_NNP, Replaced
from nnpmm.coupling.settings import CouplingConfig, create_coupling
from nnpmm.freeenergy.alchemy import LAMBDA_ELECTROSTATICS
from nnpmm.freeenergy.solvation import SolvationSettings
from nnpmm.freeenergy.solvation.ladders import create_leg
from nnpmm.simulation import parse_config, run
from nnpmm.simulation.runner import prepare_system
from nnpmm.structures import MMSystem, molecule_from_smiles, parameterize, solvate

ELECTROSTATIC = {"type": "electrostatic", "charges": "network", "cutoff": "7 angstrom"}


def settings(folder="out", coupling=ELECTROSTATIC, **changes):
    return parse_config(
        {
            "system": {
                **{"type": "build", "smiles": "CO", "padding": "0.6 nm", "cutoff": "0.7 nm"},
                "parameters": "fallback",
            },
            "region": {"model": "AIMNet2", "members": 0},
            "coupling": coupling,
            "stages": {
                **{"minimize": {"max_iterations": 20}, "warmup": None, "equilibrate": None},
                "production": {"length": "4 fs"},
            },
            "output": {"directory": str(folder), "log_interval": "1 fs"},
            **changes,
        }
    )


def test_run_with_electrostatic_embedding(tmp_path):
    load_aimnet(members=0)  # skips the test where there are no weights
    result = run(settings(tmp_path / "run"), progress=False)
    assert result.report is not None and result.report.exists()
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.reader(file))
    assert len(rows) >= 4
    assert np.isfinite(np.array(rows[1:], dtype=object)[:, 1].astype(float)).all()
    system = (tmp_path / "run" / "settings.yaml").read_text()
    assert "type: electrostatic" in system


def test_settings_create_the_coupling():
    load_aimnet(members=0)
    prepared = prepare_system(settings())
    assert "Electrostatic(charges='network'" in prepared.hybrid.provenance["coupling"]
    assert "cutoff=0.7" in prepared.hybrid.provenance["coupling"]
    (force,) = [f for f in prepared.hybrid.system.getForces() if type(f).__name__ == "PythonForce"]
    assert LAMBDA_EMBEDDING in force.getGlobalParameters()


def test_electrostatic_embedding_with_multiple_time_steps():
    load_aimnet(members=0)
    integrator = {"type": "respa", "outer": "2 fs", "inner": "0.5 fs"}
    prepared = prepare_system(settings(integrator=integrator, output={"log_interval": "2 fs"}))
    assert "MultipleTimeSteps" in prepared.hybrid.provenance["coupling"]


def test_network_without_charges_is_refused():
    with pytest.raises(ModelError, match="without atomic charges"):
        prepare_system(settings(region={"model": "ANI-1x", "members": 0}))


@pytest.mark.parametrize(
    ("coupling", "words"),
    [
        ({"type": "electrostatic"}, "give 'charges' with the type electrostatic"),
        ({"type": "electrostatic", "charges": "emle"}, "its file, 'emle_model'"),
        ({"charges": "network"}, "found 'charges' with the type mechanical"),
        ({"type": "polarizable"}, "coupling.type"),
        ({**ELECTROSTATIC, "cutoff": "0 nm"}, "coupling.cutoff"),
    ],
)
def test_invalid_settings_are_refused(coupling, words):
    with pytest.raises(ConfigError, match=words):
        settings(coupling=coupling)


def test_link_atoms_are_refused():
    config = settings(region={"model": "AIMNet2", "members": 0, "link_atoms": True})
    with pytest.raises(ConfigError, match=r"link atoms with coupling.type electrostatic"):
        prepare_system(config)


def test_leg_of_a_solvation_free_energy_has_all_parameters():
    """The network's force has the parameters of all states."""
    load_aimnet(members=0)
    molecule = molecule_from_smiles("CO", seed=1)
    parameters = parameterize(molecule)
    box = solvate(molecule, parameters, padding=0.6, nonbonded_cutoff=0.7, seed=1)
    options = {
        **{"solute": {"smiles": "CO"}, "model": "AIMNet2", "members": [0]},
        **{"coupling": ELECTROSTATIC, "timestep": "2 fs"},
    }
    leg = create_leg(SolvationSettings.model_validate(options), box, "joint")
    (force,) = [f for f in leg.system.getForces() if type(f).__name__ == "PythonForce"]
    expected = {LAMBDA_EMBEDDING, LAMBDA_ELECTROSTATICS, LAMBDA_NNP}
    assert set(force.getGlobalParameters()) == expected
    assert isinstance(box, MMSystem)


def test_default_coupling_is_mechanical():
    coupling = create_coupling(CouplingConfig(), constraints="none", inside=Replaced())
    assert type(coupling).__name__ == "Mechanical"

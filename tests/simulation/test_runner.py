"""From settings to a prepared system: options that are passed to each kind of network."""

from __future__ import annotations

import openmm
import pytest
from complexes import Inputs

import nnpmm.models.registry
from nnpmm.simulation import load_config, prepare_system


@pytest.fixture
def inputs(tmp_path):
    made = Inputs(tmp_path)
    made.set("platform", {"name": "CPU", "threads": 1})
    return made


def test_threads_are_not_passed_to_openmm_ml(inputs):
    pytest.importorskip("openmmml")
    from openmmml.mlpotential import MLPotential, MLPotentialImpl, MLPotentialImplFactory

    class Flat(MLPotentialImpl):
        def addForces(self, topology, system, atoms, forceGroup, **arguments):
            system.addForce(openmm.HarmonicBondForce())

    class Factory(MLPotentialImplFactory):
        def createImpl(self, name, **arguments):
            return Flat()

    MLPotential.registerImplFactory("flat", Factory())
    try:
        inputs.settings["region"] = {"selection": "resname MOL", "model": "flat"}
        prepared = prepare_system(load_config(inputs.write_settings()))
    finally:
        del MLPotential._implFactories["flat"]
    assert prepared.model_provenance["backend"] == "openmm-ml"


@pytest.mark.parametrize(
    ("model", "threads"),
    [("ani1x", 1), ("model.json", 1), ("model.pt", None), ("mace-off23-small", None)],
)
def test_threads_are_passed_to_ani(inputs, monkeypatch, model, threads):
    class Asked(Exception):
        pass

    def load_model(name, **options):
        raise Asked(options["threads"])

    monkeypatch.setattr(nnpmm.models.registry, "load_model", load_model)
    inputs.settings["region"] = {"selection": "resname MOL", "model": model}
    with pytest.raises(Asked) as asked:
        prepare_system(load_config(inputs.write_settings()))
    assert asked.value.args == (threads,)

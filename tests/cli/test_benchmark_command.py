"""``nnpmm benchmark`` as a user calls it."""

from __future__ import annotations

import json

import openmm
import pytest
import yaml
from complexes import Inputs
from rdkit import Chem

from nnpmm import benchmarking
from nnpmm.cli.main import main
from nnpmm.coupling import Role, has_inner_potential, role_of
from nnpmm.models.preparation import prepare_nnp
from nnpmm.simulation import load_config, load_run_system, prepare_system


def test_ani_prints_a_table_and_writes_json(call, paracetamol, tmp_path):
    output, path = tmp_path / "ani.json", tmp_path / "paracetamol.pdb"
    Chem.MolToPDBFile(paracetamol, str(path))
    result = call(
        main, "benchmark", "ani", path, "--model", "ANI-1x", "--backends", "cpu,reference",
        "--rounds", "2", "--output", output,
    )  # fmt: skip
    assert result.status == 0, result.err
    assert "cpu" in result.out
    assert "x bound" in result.out
    rows = json.loads(output.read_text())["results"]["rows"]
    assert [row["backend"] for row in rows] == ["cpu", "reference"]
    assert rows[0]["energy_error"] < 0.01
    assert rows[0]["atoms"] == 20


def test_md_compares_with_the_force_field(call, tmp_path):
    output, settings = tmp_path / "md.json", tmp_path / "md.yaml"
    settings.write_text(
        "system: {type: build, smiles: CO, padding: 0.6 nm, cutoff: 0.7 nm}\n"
        "region: {model: ANI-1x}\n"
        "platform: {name: Reference}\n"
        "stages: {production: {length: 1 ps}}\n"
    )
    result = call(
        main, "benchmark", "md", settings, "--backends", "cpu",
        "--rounds", "1", "--steps", "2", "--output", output,
    )  # fmt: skip
    assert result.status == 0, result.err
    assert "NNP/MM cpu" in result.out
    results = json.loads(output.read_text())["results"]
    assert results["platform"] == "Reference"
    assert set(results["ms_per_step"]) == {"MM", "cpu"}


# Half of ethanol, which is cut: CH2OH.
ETHANOL = {
    "system": {"type": "build", "smiles": "CCO", "padding": "0.6 nm", "cutoff": "0.7 nm"},
    "region": {
        "selection": "resname MOL and index 1 2 6 7 8",
        "model": "ANI-1x",
        "members": [3],
        "precision": "double",
        "constraints": "keep",
        "link_atoms": True,
        "mass_factor": 2,
    },
    "platform": {"name": "CPU", "threads": 1},
}


@pytest.fixture
def timed(monkeypatch, call, tmp_path):
    """Time a step of settings; return their path, and what the contexts were made from."""

    def benchmark_md(settings, *options):
        path, seen = tmp_path / "md.yaml", {}
        path.write_text(yaml.safe_dump(settings))

        def spy(systems, *arguments, **choices):
            seen.update(systems=systems, **choices)
            return made(systems, *arguments, **choices)

        made = benchmarking.step_contexts
        monkeypatch.setattr(benchmarking, "step_contexts", spy)
        result = call(main, "benchmark", "md", path, "--rounds", 1, "--steps", 1, *options)
        assert result.status == 0, result.err
        return path, seen

    return benchmark_md


def network_energy(system, mm):
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(mm.positions)
    (force,) = [f for f in system.getForces() if role_of(f) is Role.NETWORK]
    state = context.getState(energy=True, groups={force.getForceGroup()})
    return state.getPotentialEnergy()._value


def test_md_times_the_network_of_the_settings(timed):
    path, seen = timed(ETHANOL, "--backends", "reference,cpu")
    assert (seen["platform"], seen["properties"]) == ("CPU", {"Threads": "1"})
    assert list(seen["systems"]) == ["MM", "reference", "cpu"]
    config = load_config(path)
    mm = load_run_system(config)
    prepared = prepare_system(config, mm)
    for name in ("reference", "cpu"):
        system = seen["systems"][name]
        assert system.getNumConstraints() == prepared.hybrid.system.getNumConstraints()
        assert system.getParticleMass(1) == prepared.hybrid.system.getParticleMass(1)
        energy = network_energy(prepared.hybrid.system, mm)
        assert network_energy(system, mm) == pytest.approx(energy, abs=1e-6)


def test_md_times_single_steps_of_settings_with_several(timed):
    respa = {"type": "respa", "inner": "0.5 fs", "outer": "1 fs"}
    settings = {**ETHANOL, "integrator": respa, "region": {"model": "ANI-1x", "members": [0]}}
    _, seen = timed(settings, "--backends", "cpu")
    assert not has_inner_potential(seen["systems"]["cpu"])


def test_md_times_a_torchscript_file_as_it_is(timed, tmp_path):
    inputs = Inputs(tmp_path)
    prepare_nnp(tmp_path / "complex.pdb", "resname MOL", "ANI-1x", members=0, output=tmp_path)
    inputs.settings["region"] = {"selection": "resname MOL", "model": "model.pt"}
    _, seen = timed(inputs.settings)
    assert list(seen["systems"]) == ["MM", "torchscript"]


def test_md_refuses_a_model_with_a_file(call):
    call(main, "benchmark", "md", "md.yaml", "--model", "ANI-2x").assert_one_line_error(
        "found --model ANI-2x and md.yaml", "leave out --model"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["ani", "--model", "ANI-1x", "--backends", "gpu"],
            "found the backend 'gpu', available: auto, cpu",
        ),
        (["ani", "--model", "ANI-9"], "found the model 'ANI-9', known: ANI-2x"),
        (["ani", "missing.pdb"], "missing.pdb"),
        (["md", "missing.yaml"], "missing.yaml"),
        (["ani", "--rounds", "0"], "--rounds"),
        (["ani", "--model", "model.pt"], "model.pt"),
    ],
)
def test_bad_input_is_one_line(call, arguments, message):
    call(main, "benchmark", *arguments).assert_one_line_error(message)

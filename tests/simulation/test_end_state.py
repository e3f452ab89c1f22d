"""Reweighting of trajectories from the force field to the network: library and command."""

from __future__ import annotations

import json

import mdtraj
import numpy as np
import openmm
import pytest
import yaml
from openmm import app, unit
from stiff_bond import K_MM, K_NNP, STIFF, exact_difference, mm_bond, samples

from nnpmm.cli.main import main
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.simulation import difference_of, load_config, reweight_trajectories


class StiffFamily:
    """A family of models with the stiff bond."""

    options = ()
    accepts = "stiff"

    def names(self):
        return ("stiff",)

    def recognizes(self, name):
        return name == "stiff"

    def load(self, name):
        return STIFF


@pytest.fixture(autouse=True)
def stiff_bonds_alone(monkeypatch):
    monkeypatch.setattr("nnpmm.models.registry.families", lambda: {"stiff": StiffFamily()})


@pytest.fixture
def bond(tmp_path):
    """Settings of carbon monoxide in vacuum, and frames of both ensembles."""
    system, topology = mm_bond()
    write_inputs(tmp_path, "bond", system, topology)
    rng = np.random.default_rng(1)
    for name, constant in (("mm", K_MM), ("nnp", K_NNP)):
        frames = mdtraj.Trajectory(
            samples(rng, constant, 2000), mdtraj.Topology.from_openmm(topology)
        )
        frames.save_dcd(str(tmp_path / f"{name}.dcd"))
    return tmp_path


def write_inputs(folder, name, system, topology):
    (folder / f"{name}.xml").write_text(openmm.XmlSerializer.serialize(system))
    with open(folder / f"{name}.pdb", "w") as file:
        positions = samples(np.random.default_rng(0), K_MM, 1)[0]
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    settings = {
        "system": {"type": "openmm", "system": f"{name}.xml", "structure": f"{name}.pdb"},
        "region": {"selection": "all", "model": "stiff"},
        "ensemble": {"temperature": "300 K"},
        "output": {"directory": "out"},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(settings))


@pytest.mark.parametrize("network", [(), ("nnp.dcd",)], ids=["one ensemble", "both"])
def test_reweighting_gives_the_exact_difference(bond, network):
    config = load_config(bond / "bond.yaml")
    seen = []
    found = reweight_trajectories(
        *(config, [bond / "mm.dcd"], [bond / name for name in network]),
        progress=lambda path, done, total: seen.append((path.name, done, total)),
    )
    assert 0 < found.error < 0.2
    assert abs(found.difference - exact_difference()) < 3 * found.error
    assert seen[-1] == (network[-1] if network else "mm.dcd", 2000, 2000)


def test_difference_from_itself_is_zero(bond):
    found = reweight_trajectories(load_config(bond / "bond.yaml"), [bond / "mm.dcd"])
    difference = difference_of(found, found)
    assert difference.value == 0
    assert difference.error == pytest.approx(np.sqrt(2) * found.error)


def test_command_prints_the_difference_to_a_reference(call, bond):
    """The command prints the library's number and subtracts a reference."""
    config = bond / "bond.yaml"
    expected = reweight_trajectories(load_config(config), [bond / "mm.dcd"])
    both = reweight_trajectories(load_config(config), [bond / "mm.dcd"], [bond / "nnp.dcd"])
    options = ("-x", bond / "mm.dcd", "--reference", config)
    options += ("--reference-trajectory", bond / "mm.dcd")
    options += ("--reference-network-trajectory", bond / "nnp.dcd")
    shown = call(main, "reweight", config, *options)
    assert shown.status == 0
    assert f"{expected.difference:.2f} ± {expected.error:.2f} kJ/mol" in shown.out
    data = json.loads(call(main, "reweight", config, *options, "--json").out)
    value = expected.difference - both.difference
    assert data["difference"]["kJ/mol"] == pytest.approx(value, abs=1e-9)


def test_frames_with_a_broken_bond_are_refused_or_left_out(call, bond, caplog):
    """Both messages list the frames."""
    frames = mdtraj.load(str(bond / "mm.dcd"), top=str(bond / "bond.pdb"))
    frames.xyz[[3, 70]] *= 3
    frames.save_dcd(str(bond / "broken.dcd"))
    command = ("reweight", bond / "bond.yaml", "-x", bond / "broken.dcd")
    refused = call(main, *command)
    refused.assert_one_line_error(r"broken.dcd: in 2 of 2000 frames (3, 70) the region's bonds")
    shown = call(main, *command, "--leave-out-changed-bonds", "--json")
    assert shown.status == 0, shown.err
    assert "broken.dcd: 2 of 2000 frames are left out (3, 70)" in caplog.text
    data = json.loads(shown.out)
    assert abs(data["kJ/mol"] - exact_difference()) < 3 * data["error"]


def test_frames_with_wrong_number_of_atoms_are_refused(bond):
    extra = mdtraj.load(str(bond / "mm.dcd"), top=str(bond / "bond.pdb")).atom_slice([0])
    extra.save_dcd(str(bond / "one.dcd"))
    with pytest.raises(InputFileError, match="found 1 atoms in the trajectory and 2"):
        reweight_trajectories(load_config(bond / "bond.yaml"), [bond / "one.dcd"])


def test_periodic_system_requires_boxes(bond):
    system, topology = mm_bond()
    force = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(0.9)
    system.setDefaultPeriodicBoxVectors(*np.eye(3) * 3)
    topology.setPeriodicBoxVectors([openmm.Vec3(*row) for row in np.eye(3) * 3] * unit.nanometer)
    write_inputs(bond, "periodic", system, topology)
    with pytest.raises(InputFileError, match=r"mm\.dcd: found no periodic boxes"):
        reweight_trajectories(load_config(bond / "periodic.yaml"), [bond / "mm.dcd"])


def test_bad_input_gives_one_line(call, bond):
    config = bond / "bond.yaml"
    with pytest.raises(ConfigError, match="found no trajectory"):
        reweight_trajectories(load_config(config), [])
    frames, warm = bond / "mm.dcd", bond / "warm.yaml"
    warm.write_text(config.read_text().replace("300 K", "310 K"))
    other = ("--reference", warm, "--reference-trajectory", frames)
    for arguments, message in (
        (("-x", bond / "absent.dcd"), "absent.dcd: found no such file"),
        (("-x", frames, *other[:2]), "alone: give both or neither"),
        (("-x", frames, *other), "ensemble.temperature: found 300.0 and 310.0"),
    ):
        found = call(main, "reweight", config, *arguments)
        assert found.status == 2
        assert message in found.err and found.err.count("\n") == 1

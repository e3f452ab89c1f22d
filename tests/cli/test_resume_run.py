"""nnpmm run --resume as a user calls it: settings that must not change, and paths of files."""

from __future__ import annotations

import openmm
import pytest
import yaml
from complexes import Inputs, methanol_system

from nnpmm.cli.main import main
from nnpmm.cli.prepare import main as prepare
from nnpmm.models.preparation import prepare_nnp


@pytest.fixture
def inputs(tmp_path):
    return Inputs(tmp_path)


@pytest.fixture
def go(inputs, call, monkeypatch):
    """Run or resume the settings from a folder that contains none of the files."""
    monkeypatch.chdir(inputs.folder.parent)

    def run(*options):
        return call(main, "run", inputs.write_settings(), *options)

    return run


def test_another_region_in_the_prepared_file_is_refused(inputs, go, call):
    def prepare_region(selection):
        arguments = ("--selection", selection, "--model", "ANI-1x", "--members", 0)
        path = inputs.folder / "complex.pdb"
        result = call(prepare, path, *arguments, "-o", inputs.folder, "--overwrite")
        assert result.status == 0, result.err

    inputs.settings["region"] = {"nnpfile": "model.json"}
    prepare_region("resname MOL")
    assert go().status == 0
    prepare_region("resname MOL or resid 1")
    go("--resume").assert_one_line_error("the region's atoms differ", "(9 atoms, before 6)")
    prepare_region("resname MOL")
    assert "complete" in go("--resume").out


def test_another_torchscript_file_is_refused(inputs, go):
    def prepare_member(member):
        path = inputs.folder / "complex.pdb"
        prepare_nnp(
            path, "resname MOL", "ANI-1x", members=member, output=inputs.folder, overwrite=True
        )

    prepare_member(0)
    path = str(inputs.folder / "model.pt")
    inputs.settings["region"] = {"selection": "resname MOL", "model": path}
    assert go().status == 0
    prepare_member(1)
    go("--resume").assert_one_line_error("the network differs", "restore the files")
    prepare_member(0)
    assert "complete" in go("--resume").out


def test_a_model_file_is_found_from_any_folder(inputs, go, call, monkeypatch):
    nets = inputs.folder / "nets"
    prepare_nnp(inputs.folder / "complex.pdb", "resname MOL", "ANI-1x", members=0, output=nets)
    inputs.settings["region"] = {"selection": "resname MOL", "model": "nets/model.pt"}
    result = go()
    assert result.status == 0, result.err
    stored = inputs.folder / "out" / "settings.yaml"
    assert yaml.safe_load(stored.read_text())["region"]["model"] == "../nets/model.pt"
    monkeypatch.chdir(inputs.folder / "out")
    assert "complete" in go("--resume").out
    assert "complete" in call(main, "run", stored, "--resume").out


def test_a_newline_in_an_expression(inputs, go):
    system = methanol_system(inputs.topology)
    wall = openmm.CustomExternalForce("0.5*k*z^2;\nk=10")
    wall.addParticle(8, [])
    system.addForce(wall)
    inputs.write_system(system)
    result = go()
    assert result.status == 0, result.err
    assert "complete" in go("--resume").out

"""nnpmm run with Tinker files and subtractive embedding."""

from __future__ import annotations

import csv

import pytest
import yaml
from amoeba_systems import BOX, water
from force_fields import dipeptide, with_water
from openmm import app, unit
from tinker_files import HEADER, PEROXIDE, WATER, coordinates, write

from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.simulation import run
from nnpmm.simulation.settings.config import load_config


@pytest.fixture
def settings(tmp_path):
    """Hydrogen peroxide in forty waters, eight outer steps."""
    coordinates(tmp_path, waters=40)
    write(tmp_path, "water.prm", HEADER + WATER)
    write(tmp_path, "solute.prm", PEROXIDE)
    return {
        "system": {
            "type": "tinker",
            "xyz": "system.xyz",
            "parameters": ["water.prm", "solute.prm"],
            "vdw_cutoff": "0.9 nm",
            "polarization": "direct",
        },
        "region": {"selection": "resname UNK", "model": "ANI-1x", "members": [0]},
        "coupling": {"type": "subtractive"},
        "integrator": {
            "type": "respa",
            "inner": "0.25 fs",
            "outer": "1 fs",
            "watchdog": {"interval": "4 fs"},
        },
        "stages": {
            "minimize": {"max_iterations": 20},
            "warmup": None,
            "equilibrate": None,
            "production": {"length": "8 fs"},
        },
        "output": {
            "directory": "out",
            "log_interval": "4 fs",
            "trajectory_interval": "4 fs",
            "checkpoint_interval": "8 fs",
        },
    }


def written(tmp_path, settings):
    return write(tmp_path, "md.yaml", yaml.safe_dump(settings))


@pytest.mark.slow
def test_run_with_tinker_files(tmp_path, settings):
    run(written(tmp_path, settings), progress=False)
    rows = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    assert [int(row["step"]) for row in rows] == [4, 8]
    assert float(rows[-1]["nnp_energy_kj_mol"]) != 0


@pytest.mark.slow
@pytest.mark.parametrize(("molecule", "selection"), [(water, "resid 0"), (dipeptide, "protein")])
def test_run_of_a_structure_with_openmms_amoeba(tmp_path, settings, molecule, selection):
    """The network describes a water, or a peptide, in water."""
    modeller = molecule()
    with_water(modeller, 12)
    modeller.topology.setUnitCellDimensions(BOX * unit.nanometer)
    with (tmp_path / "box.pdb").open("w") as file:
        app.PDBFile.writeFile(modeller.topology, modeller.positions, file)
    options = {"vdw_cutoff": "0.9 nm", "polarization": "direct"}
    settings["system"] = {"type": "amoeba", "structure": "box.pdb", **options}
    settings["region"]["selection"] = selection
    run(written(tmp_path, settings), progress=False)
    rows = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    assert [int(row["step"]) for row in rows] == [4, 8]
    assert float(rows[-1]["nnp_energy_kj_mol"]) != 0


def test_key_file_defines_the_region(tmp_path, settings):
    write(tmp_path, "run.key", "ewald\nvdw-cutoff 9.0\nmlpot embedding\ngroup 1 -1 4\n")
    del settings["system"]["vdw_cutoff"], settings["region"]["selection"]
    settings["system"]["key"] = "run.key"
    config = load_config(written(tmp_path, settings))
    from nnpmm.simulation.runner import load_region

    _, region, name = load_region(config)
    assert (region.tolist(), name) == ([0, 1, 2, 3], "ANI-1x")
    settings["region"]["selection"] = "index 0 1"
    with pytest.raises(ConfigError, match="selects 2 atoms, the key file's group 1 has 4"):
        load_region(load_config(written(tmp_path, settings)))


def test_mechanical_embedding_names_subtractive_embedding(tmp_path, settings):
    del settings["coupling"]
    settings["integrator"] = {"type": "langevin"}
    settings["timestep"] = "1 fs"
    with pytest.raises(ForceFieldError, match=r"for AMOEBA use coupling.Subtractive\(\)"):
        run(written(tmp_path, settings), progress=False)


@pytest.mark.parametrize(
    ("section", "value", "match"),
    [
        ("integrator", {"inner_potential": "fit"}, "inner_potential with Subtractive"),
        ("region", {"link_atoms": True}, "link atoms with coupling.type subtractive"),
    ],
)
def test_unsupported_options_of_subtractive_embedding_are_refused(
    tmp_path, settings, section, value, match
):
    settings[section] |= value
    with pytest.raises(ConfigError, match=match):
        run(written(tmp_path, settings), progress=False)


def test_missing_box_gives_one_line(tmp_path, settings):
    coordinates(tmp_path, waters=40, box=False)
    with pytest.raises(ConfigError, match=r"^system.nonbonded_method: found PME"):
        run(written(tmp_path, settings), progress=False)

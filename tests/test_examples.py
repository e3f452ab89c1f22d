"""The examples run: the settings files read or cut short."""

from __future__ import annotations

from pathlib import Path

import mdtraj
import pytest
import yaml
from conftest import ROOT

from nnpmm.simulation import load_config, parse_config, run

EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_settings_are_valid(path):
    load_config(path)


@pytest.mark.slow
def test_ligand_in_water_runs(tmp_path):
    settings = yaml.safe_load((EXAMPLES / "ligand_in_water.yaml").read_text())
    settings["stages"] = {
        "minimize": {"max_iterations": 50},
        "warmup": {"length": "16 fs"},
        "equilibrate": None,
        "production": {"length": "16 fs"},
    }
    for interval in ("trajectory_interval", "log_interval", "checkpoint_interval"):
        settings["output"][interval] = "8 fs"
    result = run(parse_config(settings, base=tmp_path), progress=False)
    assert result.directory == tmp_path / "ligand_in_water"
    frames = mdtraj.load(result.trajectory, top=result.directory / "topology.pdb")
    assert frames.n_frames == 2
    ligand = frames.topology.select("resname MOL")
    bonds = [(a.index, b.index) for a, b in frames.topology.bonds if a.index in ligand]
    assert len(bonds) == 20
    assert mdtraj.compute_distances(frames, bonds, periodic=False).max() < 0.18
    assert all(Path(path).stat().st_size > 0 for path in (result.log, result.report))

"""The examples run: the notebook as it stands, the settings files read or cut short."""

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


@pytest.mark.slow
def test_ligand_notebook_runs(tmp_path):
    notebook = _executed("ligand_in_water.ipynb", tmp_path)
    main_job = [c["source"] for c in notebook.cells if c["cell_type"] == "code"][:2]
    lines = [line for cell in main_job for line in cell.splitlines() if line.strip()]
    assert len(lines) < 15
    assert {"text/html", "image/png"} <= _kinds_of_output(notebook)  # py3Dmol's view and the log
    assert (tmp_path / "log.csv").read_text().count("\n") == 51


@pytest.mark.slow
def test_permeation_notebook_runs():
    notebook = _executed("permeation.ipynb", EXAMPLES)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "image/png" in _kinds_of_output(notebook)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    printed = "".join(output.get("text", "") for output in outputs)
    assert "DOPC/C1-P4" in printed and "kcal/mol, R2 0.9" in printed


def _executed(name, folder):
    """Run a notebook in a folder and return it with its outputs."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def _kinds_of_output(notebook):
    return {
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
    }

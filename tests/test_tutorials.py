"""The tutorials: what is stored is complete and shows on the site, and each runs from the top."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest
from conftest import ROOT

nbformat = pytest.importorskip("nbformat")
TUTORIALS = ROOT / "docs" / "tutorials"
PATHS = sorted(TUTORIALS.glob("*.ipynb"))
#: Packages that a tutorial says how to install.
NEEDS = {
    "charged-ligand": "Auto3D",
    "host-guest": "openmmtools",
    "learned-metadynamics": "mlcolvar",
    "moving-from-openmm-ml": "openmmml",
    "protein-ligand": "openmmtools",
}
#: Tutorials of several minutes, which run where this variable is set.
LONG, RUN_LONG = {"host-guest"}, "NNPMM_LONG_TUTORIALS"


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def stored(request):
    """A notebook as it is stored."""
    return nbformat.read(request.param, as_version=4)


def test_outputs_are_stored_from_one_run_from_the_top(stored):
    nbformat.validate(stored)
    code = code_cells(stored)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [o for cell in code for o in cell.outputs if o.output_type == "error"]


def test_pictures_have_a_text_for_those_who_do_not_see_them(stored):
    pictures = [cell for cell in code_cells(stored) if "image/png" in kinds(cell)]
    assert pictures
    assert all(len(cell.metadata.get("alt", "")) > 20 for cell in pictures)
    assert all(kinds(cell).count("image/png") == 1 for cell in pictures)


def test_outputs_need_no_network_and_name_no_folder_of_a_machine(stored):
    for cell in code_cells(stored):
        for output in cell.outputs:
            shown = str({**output.get("data", {}), "text": output.get("text"), "image/png": ""})
            assert "<script" not in shown and "\\x1b" not in shown
            assert not re.search(r"(?<![\w.])/(tmp|home|root|work|Users)/", shown), shown


def test_links_lead_somewhere(stored):
    text = "\n".join(cell.source for cell in stored.cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("https://") or (TUTORIALS / target).exists(), target


def test_index_lists_every_tutorial():
    links = re.findall(r"\]\(([\w-]+\.ipynb)\)", (TUTORIALS / "index.md").read_text())
    assert sorted(links) == [path.name for path in PATHS]


@pytest.mark.tutorial
@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_runs_from_the_top(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    package = NEEDS.get(path.stem)
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    if path.stem in LONG and RUN_LONG not in os.environ:
        pytest.skip(f"takes minutes; set {RUN_LONG} to run it")
    commands = (str(Path(sys.executable).parent), os.environ["PATH"])
    monkeypatch.setenv("PATH", os.pathsep.join(commands))
    stored = nbformat.read(path, as_version=4)
    found = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        found, timeout=1800, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    for before, after in zip(code_cells(stored), code_cells(found), strict=True):
        assert kinds(after) == kinds(before), after.source
    CHECKS[path.stem](printed(found))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell) -> list[str]:
    """What a cell shows besides text on the standard streams."""
    return [kind for output in cell.outputs for kind in sorted(output.get("data", {}))]


def printed(notebook) -> str:
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    text = "".join(output.get("text", "") for output in outputs if output.get("name") == "stdout")
    return re.sub(r"\x1b\[[\d;]*[A-Za-z]|\r", "", text)  # commands write as to a terminal


def number(pattern: str, text: str) -> float:
    """The number that a pattern has in its only group."""
    found = re.search(pattern, text, flags=re.M)
    assert found, f"{pattern} is not in:\n{text}"
    return float(found[1])


def check_water(text):
    assert number(r"last 5 ps: (\d+) K", text) == pytest.approx(300, abs=15)
    assert number(r"K, ([\d.]+) g/ml", text) == pytest.approx(1.0, abs=0.05)


def check_torsion(text):
    for what in ("profile", "conformers"):
        before = number(rf"{what}: +RMSE ([\d.]+) before", text)
        after = number(rf"{what}: +RMSE [\d.]+ before, ([\d.]+)", text)
        assert after < 0.2 < before


def check_openmm_ml(text):
    assert number(r"returned = ([\d.]+) x expected", text) == pytest.approx(1, abs=0.005)
    energies = [float(found) for found in re.findall(r"(-?[\d.]+) kJ/mol\n", text)[:2]]
    assert energies[0] == pytest.approx(energies[1], abs=1e-3)


def check_charged(text):
    assert re.search(r"sum +-1\.000 +-1\.000", text)
    first, second = (float(found) for found in re.findall(r"C1-O\d: ([\d.]+) nm", text)[:2])
    assert first == pytest.approx(second, abs=0.003)


def check_hydration(text):
    force_field = number(r"force field +(-?[\d.]+) ±", text)
    assert force_field == pytest.approx(-3.5, abs=3)  # kcal/mol, far from converged
    assert number(r"network +(-?[\d.]+) ±", text) == pytest.approx(force_field, abs=1.5)


def check_campaign(text):
    rows = dict(re.findall(r"^(\w+) +(-?[\d.]+) +[\d.]+ *$", text, flags=re.M))
    assert set(rows) == {"methane", "methanol", "ethane"}
    assert all(abs(float(value)) < 1.5 for value in rows.values())
    assert "ammonium no result" in text


def check_complex(text):
    assert number(r"ligand RMSD in the site +([\d.]+)", text) < 2.5  # angstrom: it stays


def check_host_guest(text):
    columns = [r"network", r"force field"]
    values = [number(rf"^{name}( +-?[\d.]+)+ ±", text) for name in columns]
    assert all(value < -5 for value in values)  # kcal/mol, far from converged; a strong binder
    assert values[0] == pytest.approx(values[1], abs=5)


def check_learned(text):
    assert number(r"variable 1: -?[\d.]+ to (-?[\d.]+), correlates with", text) > 0
    assert len(re.findall(r"minimum 1: phi", text)) == 2  # of both runs


def check_permeation(text):
    assert number(r"test .* R2 ([\d.]+)", text) > 0.9


CHECKS = {
    "campaign": check_campaign,
    "charged-ligand": check_charged,
    "host-guest": check_host_guest,
    "hydration-free-energy": check_hydration,
    "learned-metadynamics": check_learned,
    "permeation": check_permeation,
    "protein-ligand": check_complex,
    "ligand-in-water": check_water,
    "torsion-refit": check_torsion,
    "moving-from-openmm-ml": check_openmm_ml,
}

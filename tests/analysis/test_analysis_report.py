"""The report: its content, that it needs no network, and how a browser shows it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from complexes_of_peptides import create_complex, save, source
from openmm import app, unit
from test_comparison import trajectory
from typer.testing import CliRunner

from nnpmm.analysis import Readings, analyze, compare, write_report
from nnpmm.analysis.tables import with_error
from nnpmm.cli.main import app as commands
from nnpmm.plots.viewer import viewer_html

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")


@pytest.fixture(scope="module")
def system():
    return create_complex("AFDKS", n_water=30)


@pytest.fixture(scope="module")
def folder(system, tmp_path_factory):
    """A report of two replicas, with a log and names that HTML must escape."""
    base = tmp_path_factory.mktemp("report")
    sources = []
    for seed, name in enumerate(("<one>", "two")):
        topology, positions = system
        noise = np.random.default_rng(seed).normal(scale=0.01, size=(50, *positions.shape))
        time = np.arange(1.0, 51.0)
        columns = {
            "network_spread": 1 + np.random.default_rng(seed).random(50),
            "temperature": np.random.default_rng(seed).normal(300, 3, 50),
        }
        path = save(base / f"{seed}.dcd", topology, positions + noise)
        given = source(
            path, topology, start=1.0, reference=positions, readings=Readings(time, columns)
        )
        sources.append(replace(given, name=name))
    write_report(base / "out", analyze(sources, name="both"))
    return base / "out"


def test_the_page_needs_nothing_else(folder):
    text = (folder / "report.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert not re.search("https?://(?!www.w3.org)", text)
    assert "&lt;one&gt;" in text and "<one>" not in text


@pytest.mark.parametrize(
    "words",
    [
        "ligand RMSD in the site", "receptor RMSD", "waters in the first shell",
        "Rotatable bonds", "Contacts of the ligand", "Fluctuations of the receptor",
        "networks of the ensemble disagree most", "temperature", "How it was calculated",
        "mean angle",
    ],
)  # fmt: skip
def test_the_page_speaks_of(words, folder):
    assert words in (folder / "report.html").read_text()


def test_pictures_and_tables_are_files_too(folder):
    names = {path.stem for path in (folder / "pictures").glob("*.png")}
    assert names == {path.stem for path in (folder / "pictures").glob("*.svg")}
    wanted = {"structure", "fluctuations", "torsions", "contacts", "contact-times", "readings"}
    assert wanted <= names
    lines = (folder / "tables" / "averages.csv").read_text().splitlines()
    data = json.loads((folder / "analysis.json").read_text())
    assert len(lines) == len(data["averages"]) + 1
    assert len((folder / "tables" / "series-1.csv").read_text().splitlines()) == 51
    assert data["trajectories"][0]["frames"] == 50
    assert len(data["trajectories"][0]["largest_spread"]) == 5


def test_values_are_written_with_the_digits_of_their_errors():
    assert with_error(1.2345, 0.0567) == "1.234 ± 0.057"
    assert with_error(1234.5, 67.8) == "1234 ± 68"
    assert with_error(2.0, float("nan")) == "2"
    assert with_error(float("nan"), 1.0) == "-"


def test_a_label_cannot_end_the_script():
    text = viewer_html("v", ["C"], [0], np.zeros((0, 2)), [(0, "</script>")], np.zeros((1, 1, 3)),
                       ["a"])  # fmt: skip
    assert text.count("</script>") == 1


def screenshot(page, path, size):
    if BROWSER is None:
        pytest.skip("found no chromium to open the report with")
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--window-size={size[0]},{size[1]}",
        f"--screenshot={path}",
        f"--user-data-dir={path}.d",
        page.as_uri(),
    ]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    return matplotlib.image.imread(path)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1200, 900), (500, 900)], ids=["desktop", "phone"])
def test_a_browser_draws_the_molecule(folder, tmp_path, size):
    """The green of the ligand's sticks is on the page: the script ran, on either screen."""
    picture = screenshot(folder / "report.html", tmp_path / "page.png", size)
    assert picture.shape[:2] == (size[1], size[0])
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    ligand = (green > red + 0.2) & (green > blue + 0.05)
    assert ligand.sum() > 200


@pytest.mark.slow
@pytest.mark.parametrize("width", [500, 1200])
def test_no_page_is_wider_than_its_screen(folder, tmp_path, width):
    """A script writes the results of the browser into the title of the page."""
    if BROWSER is None:
        pytest.skip("found no chromium to open the report with")
    probe = (
        "<script>addEventListener('load', () => { const t = document.querySelector('th');"
        " t.click(); document.title = 'WIDE ' + (document.documentElement.scrollWidth -"
        " innerWidth) + ' SORT ' + t.getAttribute('aria-sort'); })</script></body>"
    )
    page = tmp_path / "page.html"
    page.write_text((folder / "report.html").read_text().replace("</body>", probe))
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--window-size={width},900",
        "--dump-dom",
        f"--user-data-dir={tmp_path / 'd'}",
        page.as_uri(),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    wide, sort = re.search(r"<title>WIDE (-?\d+) SORT (\w+)", answer.stdout).groups()
    assert int(wide) <= 0
    assert sort == "ascending"


def test_a_comparison_has_its_own_page(system, tmp_path):
    first = analyze(trajectory(tmp_path, "still", system))
    second = analyze(trajectory(tmp_path, "moved", system, 0.12, seed=2))
    path = write_report(tmp_path / "out", compare(first, second))
    text = path.read_text()
    assert "still and moved compared" in text
    assert "no difference (±" in text
    for name in ("difference-overall", "difference-angle", "angle-distributions"):
        assert (tmp_path / "out" / "pictures" / f"{name}.svg").is_file()
        assert text.count("Mean angles in the rotamers") == 1
    data = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert any(d["significant"] for d in data["differences"])


def call(*arguments):
    return CliRunner().invoke(commands, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def files(system, tmp_path_factory):
    topology, positions = system
    base = tmp_path_factory.mktemp("files")
    with open(base / "top.pdb", "w") as handle:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, handle, keepIds=True)
    paths = [base / "top.pdb"]
    for seed in (1, 2):
        noise = np.random.default_rng(seed).normal(scale=0.01, size=(20, *positions.shape))
        paths.append(save(base / f"{seed}.xtc", topology, positions + noise, times=np.arange(20.0)))
    return paths


@pytest.mark.slow
def test_the_command_with_any_topology_and_trajectory(files, tmp_path):
    top, one, two = files
    answer = call("analyze", "-t", top, "-x", one, "-x", two, "-o", tmp_path / "out")
    assert answer.exit_code == 0, answer.output
    assert "receptor RMSD" in answer.stdout
    assert (tmp_path / "out" / "report.html").is_file()
    as_json = call("analyze", "-t", top, "-x", one, "-o", tmp_path / "json", "--json")
    assert json.loads(as_json.stdout)["trajectories"][0]["frames"] == 20
    both = call("analyze", "--compare", tmp_path / "out", tmp_path / "json", "-o", tmp_path / "c")
    assert both.exit_code == 0, both.output
    assert "0 of" in both.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "found no trajectory"),
        (["-x", "t.xtc"], "without --topology"),
        (["-t", "top.pdb"], "give --trajectory with it"),
        (["run", "--compare", "a", "b"], "give one of them"),
        (["none"], "found no folder of a run"),
    ],
)
def test_wrong_calls(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").mkdir()
    answer = call("analyze", *arguments)
    assert answer.exit_code != 0
    assert words in str(answer.exception)
    assert not (tmp_path / "analysis").exists()

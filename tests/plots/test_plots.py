"""Figures draw the given data in one style; nothing is saved or changed globally."""

from __future__ import annotations

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from nnpmm import plots
from nnpmm.plots.molecule import _view, draw_molecule
from nnpmm.plots.style import COLORS, axis_label, create_figure, create_panels

METHANOL = np.array(
    [
        [0.0, 0.0, 0.0],
        [0.143, 0.0, 0.0],
        [0.17, 0.09, 0.0],
        [-0.04, 0.1, 0.01],
        [-0.04, -0.05, 0.09],
        [-0.04, -0.05, -0.09],
    ]
)
ELEMENTS = ["C", "O", "H", "H", "H", "H"]
K = 4
DELTA = np.arange(K)[None] - np.arange(K)[:, None].astype(float)
ERROR = 0.1 * np.abs(DELTA)
OVERLAP = np.full((K, K), 0.25)
PICTURES = {
    "overlap": lambda: plots.plot_overlap(OVERLAP, names=["0", "0.3", "0.7", "1"]),
    "convergence": lambda: plots.plot_convergence(
        [0.5, 1.0], [1.0, 2.0], [0.2, 0.1], [3.0, 2.0], [0.2, 0.1]
    ),
    "ladder": lambda: plots.plot_ladder(DELTA, ERROR),
    "parity": lambda: plots.plot_parity(
        {"test": plots.Pairs([0, 1, 2], [0.1, 1, 2], [0.1] * 3, [0.2] * 3)},
        xlabel="label / (kcal/mol)",
        ylabel="prediction / (kcal/mol)",
    ),
    "histogram": lambda: plots.plot_histogram({"MM": [1, 2, 2, 3], "NNP": [2, 3]}, xlabel="d / nm"),
    "series": lambda: plots.plot_time_series(
        np.arange(50), {"potential": np.arange(50)}, ylabel="energy / (kJ/mol)"
    ),
    "profile": lambda: plots.plot_profile(
        [0, 1], [2.0, 3.0], [0.1, 0.2], xlabel="height / nm", ylabel="free energy / (kJ/mol)"
    ),
    "panels": lambda: plots.plot_panels(
        [plots.Panel("RMSD", "Å", {"a": (np.arange(90), np.arange(90.0)), "b": ([0, 1], [1, 2])})]
    ),
    "fluctuations": lambda: plots.plot_fluctuations(
        ["ALA1", "GLY2"], {"RMSF": ([1.0, 2.0], [0.1, np.nan])}, marked=["GLY2"]
    ),
    "torsions": lambda: plots.plot_torsions(
        [plots.Torsion("C-C-O-C", {"a": ([0, 1], [60, 70])}, [-90, 0, 90], {"a": [0, 0.1, 0.2]})]
    ),
    "torsion_distributions": lambda: plots.plot_torsion_distributions(
        {"C-C-O-C": {"a": [[0, 0.1, 0.2], [0, 0.2, 0.1]], "b": []}}
    ),
    "strips": lambda: plots.plot_time_strips(
        ["ALA1, contact"], [[0], [1], [1]], ["#0072B2"], (0.0, 3.0), breaks=[1.5]
    ),
    "probabilities": lambda: plots.plot_probabilities(["ALA1"], [0.9], [0.2], ["#0072B2"]),
    "network": lambda: plots.plot_contact_network(
        "LIG1", [("ALA1", "contact", 0.5)], {"contact": "#0072B2"}
    ),
    "differences": lambda: plots.plot_differences(
        ["RMSD"], [1.0], [0.2], [True], xlabel="difference / Å"
    ),
    "learning": lambda: plots.plot_learning_curve(
        [[3.0, 2.0, 1.0]], [[3.0, 2.5, 2.6]], [2], ylabel="error / (kcal/mol)"
    ),
    "surface": lambda: plots.plot_surface(
        [-135, -45, 45, 135],
        [-90, 90],
        [[0.0, 1.0], [2.0, np.nan], [9.0, 3.0], [1.0, 2.0]],
        xlabel="phi / degrees",
        ylabel="psi / degrees",
        minima=[(-135, -90)],
    ),
    "surface_profile": lambda: plots.plot_surface_profile(
        [-135, -45, 45, 135], {"": ([0, 1, np.nan, 2], [0.1] * 4)}, xlabel="phi / degrees"
    ),
    "surface_convergence": lambda: plots.plot_surface_convergence([1, 2], {"": [3.0, 0.0]}),
    "torsion_profiles": lambda: plots.plot_torsion_profiles(
        [-90, 0, 90, 180],
        {"ANI-2x": [1, 2, 1, 0], "reference": [1, np.nan, 1, 0]},
        points=("reference",),
    ),
    "conformers": lambda: plots.plot_conformers(
        [0.0, 1.0],
        [0.0, 0.2],
        [0.8, 0.2],
        [0.1, 0.1],
        [METHANOL, METHANOL],
        ELEMENTS,
        [(0, 1), (1, 2)],
        pose=("pose", 2.0, 0.3),
    ),
    "validation": lambda: plots.plot_validation(
        ["forces / %", "speed / ms"],
        ["water"],
        [[("fail", "90")], [("n/a", "-")]],
        [
            plots.ValidationPanel(
                "walls", "r / nm", "energy / (kJ/mol)", [("water", [1, 2], [3, 9])]
            )
        ],
    ),
}

# Pictures with names along the vertical axis, with one that panels share, or without axes.
NAMED = {
    "torsions",
    "torsion_distributions",
    "strips",
    "probabilities",
    "network",
    "differences",
    "validation",
    "conformers",
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_a_figure_with_labels_and_can_be_drawn(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = dict(matplotlib.rcParams)
    figure = PICTURES[name]()
    assert isinstance(figure, Figure)
    assert dict(matplotlib.rcParams) == before and list(tmp_path.iterdir()) == []
    assert any(axes.get_xlabel() for axes in figure.axes) or name == "network"
    assert all(axes.get_ylabel() for axes in figure.axes) or name in NAMED
    figure.savefig(tmp_path / "picture.png")
    assert matplotlib.image.imread(tmp_path / "picture.png").std() > 0.01


def test_verdicts_stand_in_their_cells():
    table, panel = PICTURES["validation"]().axes
    assert [text.get_text() for text in table.texts[:2]] == ["90  fail", "-"]
    assert [label.get_text() for label in table.get_yticklabels()] == ["forces / %", "speed / ms"]
    assert panel.get_xlabel() == "r / nm"


def test_a_surface_has_its_first_variable_to_the_right():
    figure = PICTURES["surface"]()
    (mesh,) = [c for c in figure.axes[0].collections if hasattr(c, "get_coordinates")]
    values = mesh.get_array()
    assert values.shape == (2, 4) and values[1, 2] == 3.0
    assert figure.axes[0].get_xticks().tolist() == [-180, -90, 0, 90, 180]


@pytest.mark.parametrize(
    ("plot", "values"),
    [
        (lambda series: plots.plot_time_series([0, 1], series, ylabel="x"), [0, 1]),
        (lambda series: plots.plot_histogram(series, xlabel="x"), [0.0, 1.0]),
        (lambda series: plots.plot_surface_profile([0, 1], series, xlabel="x"), ([0, 1], [0, 0])),
        (lambda series: plots.plot_surface_convergence([0, 1], series), [1, 0]),
        (
            lambda series: plots.plot_parity(series, xlabel="x", ylabel="y"),
            plots.Pairs([0, 1], [0, 1]),
        ),
    ],
)
def test_more_series_than_colors_are_all_drawn(plot, values):
    series = {f"replica {number}": values for number in range(len(COLORS) + 1)}
    _, labels = plot(series).axes[0].get_legend_handles_labels()
    assert labels == list(series)


def test_torsion_profiles_close_the_circle_and_begin_at_zero():
    figure = plots.plot_torsion_profiles([-90, 0, 90, 180], {"a": [6.0, 7.0, 6.0, 5.0]})
    (line,) = figure.axes[0].get_lines()
    assert line.get_xdata().tolist() == [-180, -90, 0, 90, 180]
    assert line.get_ydata().tolist() == [0, 1, 2, 1, 0]


def test_numbers_of_a_matrix_stand_in_their_cells():
    matrix = [[0.9, 0.1, 0.0], [0.2, 0.7, 0.1]]
    figure = plots.plot_matrix(matrix, xlabel="assigned", ylabel="true", rows="ab", columns="cde")
    texts = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert texts[1, 0] == ".10" and texts[0, 1] == ".20"  # column, row
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_bands_are_two_standard_errors():
    figure = plots.plot_profile([0, 1, 2], [5.0] * 3, [0.5] * 3, xlabel="z / nm", ylabel="G")
    (band,) = figure.axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (4.0, 6.0)


def test_steps_of_a_ladder_are_those_between_neighbours():
    delta = np.array([[0, 1, 5], [-1, 0, 4], [-5, -4, 0]], dtype=float)
    above, below = plots.plot_ladder(delta, 0.1 * np.ones((3, 3))).axes
    assert [bar.get_height() for bar in below.patches] == [1, 4]
    assert [line.get_ydata().tolist() for line in above.lines if len(line.get_ydata()) == 3] == [
        [0, 1, 5]
    ]


def test_the_band_of_a_convergence_is_that_of_all_samples():
    figure = PICTURES["convergence"]()
    corners = figure.axes[0].patches[0].get_bbox()
    np.testing.assert_allclose([corners.y0, corners.y1], [1.8, 2.2], rtol=0, atol=1e-12)


def test_panels_have_letters_and_one_alone_has_none():
    _, panels = create_panels(2, 2)
    assert ["".join(t.get_text() for t in axes.texts) for axes in panels] == list("abcd")
    assert not create_panels()[1][0].texts
    assert not any(panels[0].spines[side].get_visible() for side in ("top", "right"))
    cycled = [panels[0].plot([0, 1])[0].get_color() for _ in COLORS]
    assert cycled == list(COLORS)


def test_units_of_labels():
    assert axis_label("time", "ps") == "time / ps"
    assert axis_label("energy", "kJ/mol") == "energy / (kJ/mol)"
    assert axis_label("bonds") == "bonds"


def test_drawing_without_bonds_guesses_them_and_keeps_handedness():
    figure = create_figure()
    draw_molecule(figure.add_subplot(), METHANOL, ELEMENTS, [])
    polygons = [p for p in figure.axes[0].patches if type(p).__name__ == "Polygon"]
    assert len(polygons) == 2 * 5
    seen = _view(METHANOL)
    volume = np.linalg.det(seen[3:] - seen[0])
    assert volume == pytest.approx(np.linalg.det(METHANOL[3:] - METHANOL[0]))
    assert np.ptp(seen[:, 0]) >= np.ptp(seen[:, 2])


def test_the_package_imports_matplotlib_only_when_it_is_used():
    code = (
        "import sys, nnpmm.plots, nnpmm.permeation.networks.figures, "
        "nnpmm.permeation.labels.direct, nnpmm.permeation.permeability.report, "
        "nnpmm.permeation.prediction.report; assert 'matplotlib' not in sys.modules; "
        "nnpmm.plots.plot_profile; assert 'matplotlib' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

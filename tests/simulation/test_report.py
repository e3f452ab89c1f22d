from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from nnpmm.simulation import write_report
from nnpmm.simulation.drawing import draw_molecule
from nnpmm.simulation.energy_log import EnergyLog, LogRow
from nnpmm.simulation.progress import Status, progress_display

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


def write_log(path, n_rows, spread):
    log = EnergyLog(path, append=False)
    for step in range(1, n_rows + 1):
        log.write(
            LogRow("production", step, 0.1 * step, -1e5, 1e4, -9e4, 300.0, None, None, -500.0,
                   spread, 3.0)
        )  # fmt: skip
    log.close()


@pytest.mark.parametrize(("n_rows", "spread"), [(20, 1.5), (20, None), (1, 1.0), (0, None)])
def test_the_report_is_drawn_whatever_the_log_holds(tmp_path, n_rows, spread):
    write_log(tmp_path / "log.csv", n_rows, spread)
    path = write_report(
        tmp_path / "report.png", tmp_path / "log.csv", METHANOL, ELEMENTS, [(0, 1), (1, 2)]
    )
    image = matplotlib.image.imread(path)
    assert image.shape[1] > 1500
    assert image[..., :3].std() > 0.02
    assert [p.name for p in tmp_path.glob("*.tmp")] == []


def test_drawing_without_bonds_guesses_them_and_keeps_handedness():
    figure = Figure()
    draw_molecule(figure.add_subplot(), METHANOL, ELEMENTS, [])
    polygons = [p for p in figure.axes[0].patches if type(p).__name__ == "Polygon"]
    assert len(polygons) == 2 * 5
    from nnpmm.simulation.drawing import _view

    seen = _view(METHANOL)
    volume = np.linalg.det(seen[3:] - seen[0])
    assert volume == pytest.approx(np.linalg.det(METHANOL[3:] - METHANOL[0]))
    assert np.ptp(seen[:, 0]) >= np.ptp(seen[:, 2])


def test_plain_lines_where_there_is_no_terminal():
    stream = io.StringIO()
    with progress_display(True, stream) as display:
        for done in range(11):
            display.update(
                Status("production", done, 10, ns_per_day=2.0, remaining_s=3661, temperature=300.4,
                       nnp_energy=-250.0, nnp_deviation=2.5)
            )  # fmt: skip
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2  # the first, and the end
    assert "10 / 10 ps" in lines[-1]
    assert "2 ns/day 1:01:01 left 300 K NNP -250.0±2.5 kJ/mol" in lines[-1]


def test_a_bar_in_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with progress_display(True, stream) as display:
        display.update(Status("minimize", 3, 20, "steps"))
        display.update(Status("production", 5, 10, ns_per_day=2.0))
    assert "production" in stream.getvalue()  # 80 columns shorten no name of a stage
    assert "minimize" in stream.getvalue()
    assert "5 / 10 ps" in stream.getvalue()

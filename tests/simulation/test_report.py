from __future__ import annotations

import io
from itertools import pairwise

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from nnpmm.simulation import write_report
from nnpmm.simulation.record.energy_log import EnergyLog, LogRow
from nnpmm.simulation.report import report_figure
from nnpmm.simulation.stages import progress
from nnpmm.simulation.stages.progress import Status, progress_display

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


def write_log(path, n_rows, spread, lengths=(("production", 0.1),)):
    """Write a log with stages of given lengths between rows, ps."""
    log = EnergyLog(path, append=False)
    for stage, apart in lengths:
        for step in range(1, n_rows + 1):
            log.write(
                LogRow(stage, step, apart * step, -1e5, 1e4, -9e4, 300.0, None, None, -500.0,
                       spread, 3.0)
            )  # fmt: skip
    log.close()


@pytest.mark.parametrize(("n_rows", "spread"), [(20, 1.5), (20, None), (1, 1.0), (0, None)])
def test_report_is_drawn_for_any_log(tmp_path, n_rows, spread):
    write_log(tmp_path / "log.csv", n_rows, spread)
    path = write_report(
        tmp_path / "report.png", tmp_path / "log.csv", METHANOL, ELEMENTS, [(0, 1), (1, 2)]
    )
    image = matplotlib.image.imread(path)
    assert image.shape[1] > 1500
    assert image[..., :3].std() > 0.02
    assert [p.name for p in tmp_path.glob("*.tmp")] == []


@pytest.mark.parametrize(
    ("lengths", "named"),
    [
        ((1.0, 1.0, 1.0), ["warmup", "equilibrate", "production"]),
        ((1.0, 1.2, 6.0), ["production"]),
        ((1.0, 1.7, 5.0), ["equilibrate", "production"]),
        ((1.0, 1.6, 2.0), ["warmup", "equilibrate", "production"]),
        ((0.01, 0.01, 10.0), ["production"]),
    ],
)
def test_names_of_stages_do_not_overlap(tmp_path, lengths, named):
    stages = zip(("warmup", "equilibrate", "production"), lengths, strict=True)
    write_log(tmp_path / "log.csv", 5, 1.0, tuple(stages))
    figure = report_figure(tmp_path / "log.csv", METHANOL, ELEMENTS, [(0, 1)])
    figure.canvas.draw()
    texts = figure.axes[0].texts  # the panel's letter is one of them
    assert [text.get_text() for text in texts] == ["a", *named]
    boxes = [text.get_window_extent() for text in texts]
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def running(done, total=10.0, **changes):
    readings = {"ns_per_day": 2.0, "remaining_s": 3661.0, "temperature": 300.4} | changes
    return Status("production", done, total, nnp_energy=-250.0, nnp_deviation=2.5, **readings)


def lines_of(statuses, monkeypatch, seconds_apart):
    """Return the lines written to a file if statuses come at an interval."""
    clock = iter(np.arange(1, 10**6) * seconds_apart)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with progress_display(True, stream) as display:
        for status in statuses:
            display.update(status)
    return stream.getvalue().splitlines()


def test_progress_line_names_each_number(monkeypatch):
    first, last = lines_of([running(0), running(10)], monkeypatch, 1)
    assert "0 / 10 ps" in first and "10 / 10 ps" in last
    assert last.split("ps ", 1)[1].strip() == (
        "2 ns/day, 1:01:01 left, 300 K, network energy of the region -250.0 kJ/mol, "
        "spread of members 2.5 kJ/mol"
    )


@pytest.mark.parametrize("seconds_apart", [0.5, 60])
def test_number_of_progress_lines_is_limited(monkeypatch, seconds_apart):
    statuses = [running(0.01 * i) for i in range(1001)]
    lines = lines_of(statuses, monkeypatch, seconds_apart)
    # The first, every tenth and the last, or at least one per hour.
    assert len(lines) == {0.5: 11, 60: 21}[seconds_apart]


def test_short_stage_has_two_lines(monkeypatch):
    assert len(lines_of([running(i) for i in range(11)], monkeypatch, 0.1)) == 2


def test_resumed_stage_reports_tenths_from_its_position(monkeypatch):
    statuses = [running(5.5 + 0.01 * i) for i in range(451)]
    assert len(lines_of(statuses, monkeypatch, 60)) == 1 + 5 + 4


def shown(status, width=80):
    """The last state of the bars, as lines of text."""
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=True, color_system=None)
    with progress._bars(console) as bars:
        display = progress._Bars(bars)
        display.update(Status("minimize", 500, 500, "steps"))
        display.update(Status("equilibrate", 20, 20, ns_per_day=2.0))
        display.update(status)
    with console.capture() as captured:
        console.print(*bars.get_renderables(), sep="\n")
    return captured.get().splitlines()


@pytest.mark.parametrize(
    "status",
    [
        running(5),
        running(123.4567, 999.996, ns_per_day=0.01234, remaining_s=1e6),
        running(98765.4, 1e5, ns_per_day=123.4, remaining_s=86400 * 12),
        running(1234567.0, 1e7, ns_per_day=12.34, remaining_s=86400 * 99),
    ],
)
def test_progress_bar_fits_into_80_columns(status):
    lines = shown(status)
    (row,) = [line for line in lines if line.startswith("production")]
    assert "━" in row and status.amount() in row and status.pace() in row
    assert lines[-1].strip() == status.readings()
    assert all(len(line.rstrip()) <= 80 for line in lines)
    assert len(lines) == 4


def test_progress_bar_in_a_terminal():
    stream = Terminal()
    with progress_display(True, stream) as display:
        display.update(Status("minimize", 3, 20, "steps"))
        display.update(Status("production", 5, 10, ns_per_day=2.0))
    assert "production" in stream.getvalue() and "minimize" in stream.getvalue()
    assert "5 / 10 ps" in stream.getvalue()


def test_long_times_are_shown_in_ns():
    assert running(12345.6, 100_000.0).amount() == "12.35 / 100 ns"
    assert running(500.0, 999.0).amount() == "500 / 999 ps"

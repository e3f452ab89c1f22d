"""Progress bars appear on terminals only, and disappear at the end; a file gets lines."""

import io
import time

import pytest
from rich.console import Console

from nnpmm.campaigns import JobReport
from nnpmm.cli import progress


class Screen(io.StringIO):
    """Text in memory that claims to be a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Pretend that stderr is a terminal and return what is written to it."""
    screen = Screen()
    monkeypatch.setattr(
        progress, "Console", lambda **_: Console(file=screen, force_terminal=True, width=80)
    )
    return screen


def test_stages_follow_each_other(terminal):
    with progress.stage_bar("DOPC/C1") as tell:
        tell("nvt", 5.0, 10.0)
        tell("npt", 30.0, 40.0)
    assert "DOPC/C1, npt" in terminal.getvalue() and "75%" in terminal.getvalue()


def test_jobs_are_counted(terminal):
    with progress.count_bar("jobs") as tell:
        tell(1, 4)
    assert "jobs" in terminal.getvalue() and "25%" in terminal.getvalue()


def test_relaxation_of_the_bilayer_moves_the_bar(terminal, capsys):
    report = JobReport("DOPC/C1", True, 3.0)
    with progress.campaign_bar("runs") as (tell, relaxation):
        relaxation("DOPC", "settle", 500.0, 500.0)
        relaxation("DOPC", "relax", 5_000.0, 20_000.0)
        assert "bilayer of DOPC, relax" in _drawn(terminal, "25%")
        relaxation("DOPC", "relax", 15_000.0, 20_000.0)
        assert "bilayer of DOPC, relax" in _drawn(terminal, "75%")
        tell(report, 1, 8)
        assert "runs" in _drawn(terminal, "12%")
    out = capsys.readouterr().out
    assert out.count("relaxing a bilayer of DOPC") == 1 and "[1/8] DOPC/C1 done 3 s" in out


def _drawn(terminal, words, seconds=10.0):
    """Wait for words on the screen, which is drawn ten times a second; return what it contains."""
    end = time.monotonic() + seconds
    while words not in terminal.getvalue() and time.monotonic() < end:
        time.sleep(0.02)
    assert words in terminal.getvalue()
    return terminal.getvalue()


def test_printed_lines_go_to_stdout(terminal, capsys):
    with progress.count_bar("jobs") as tell:
        tell(1, 4)
        print("a line")
    assert capsys.readouterr().out == "a line\n" and "a line" not in terminal.getvalue()


def test_no_bar_in_a_file(capsys):
    with progress.stage_bar("DOPC/C1") as tell, progress.count_bar("jobs") as count:
        tell("nvt", 5.0, 10.0)
        count(1, 4)
    assert capsys.readouterr() == ("", "")


def test_file_gets_progress_lines(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.stage_bar("solvation") as tell, progress.count_bar("epochs") as count:
        for now[0] in (100.0, 700.0, 800.0):
            tell("sampling", now[0], 1000.0)
        now[0] = 2000.0
        count(1, 4)
    out, err = capsys.readouterr()
    lines = [line.split(maxsplit=1)[1] for line in err.splitlines()]  # without the time of day
    assert out == "" and lines == ["solvation, sampling: 70%", "epochs: 25%"]


def test_terminal_gets_no_progress_lines(terminal, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LOG_INTERVAL", 0.0)
    with progress.stage_bar("solvation") as tell, progress.count_bar("epochs") as count:
        tell("sampling", 5.0, 10.0)
        count(1, 4)
    assert capsys.readouterr() == ("", "")


def test_no_bar_in_a_file_where_color_is_forced(monkeypatch):
    """Notebooks set FORCE_COLOR, with which rich treats every file as a terminal."""
    file = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=file, force_terminal=True))
    with progress.count_bar("jobs") as tell:
        tell(1, 4)
    assert file.getvalue() == ""

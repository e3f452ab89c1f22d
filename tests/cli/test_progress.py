"""Progress bars: on a terminal only, and gone at the end."""

import io

import pytest
from rich.console import Console

from nnpmm.cli import progress


@pytest.fixture
def terminal(monkeypatch):
    """Pretend that stderr is a terminal and return what is written to it."""
    screen = io.StringIO()
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


def test_what_is_printed_to_a_file_goes_there(terminal, capsys):
    with progress.count_bar("jobs") as tell:
        tell(1, 4)
        print("a line")
    assert capsys.readouterr().out == "a line\n" and "a line" not in terminal.getvalue()


def test_silence_in_a_file(capsys):
    with progress.stage_bar("DOPC/C1") as tell, progress.count_bar("jobs") as count:
        tell("nvt", 5.0, 10.0)
        count(1, 4)
    assert capsys.readouterr() == ("", "")

"""The folder of a list: calculations that run, fail, are corrected or refused, and results."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from pydantic import Field

from nnpmm.campaigns import (
    ClusterSettings,
    ListRow,
    Quantity,
    collect_results,
    listed,
    output_of,
    run_listed,
    states_of,
    write_csv,
    write_parquet,
)
from nnpmm.core.errors import (
    ConfigError,
    InputFileError,
    LockedError,
    OptionalDependencyError,
    SimulationError,
)
from nnpmm.core.locks import locked
from nnpmm.core.section import Section

SERIAL = ClusterSettings(kind="serial")


class Settings(Section):
    number: int = Field(description="to square")
    fail: str = Field("", description="how")
    threads: int | None = None
    file: Path | None = None


def square(command, settings, *, attempt):
    """Square a number, and record each call in the folder."""
    calls = attempt.work.parent / f"{attempt.work.name}.calls"
    with open(calls, "a") as file:
        file.write(f"{attempt.number} {attempt.seed}\n")
    if settings["fail"] == "wrong":
        raise InputFileError("found a mess")
    if settings["fail"] == "always" or (settings["fail"] == "once" and not attempt.number):
        raise SimulationError("it blew up")
    if settings["fail"] == "bug":
        raise KeyError("shelf")
    if settings["fail"] == "locked":
        with locked(attempt.work / ".lock", "another process works here"):
            pass
    number = settings["number"]
    return output_of(
        [Quantity("square", number**2, 0.5, "nm^2"), Quantity("odd", number % 2, float("nan"))]
    )


def go(folder, rows, **options):
    """Run rows of settings, by name."""
    found = [
        listed(ListRow(name, f"row {name}", values), Settings(**values))
        for name, values in rows.items()
    ]
    return run_listed(found, "square", square, folder, cluster=SERIAL, **options)


def calls(folder, name):
    return len((folder / "jobs" / f"{name}.calls").read_text().splitlines())


def states(folder):
    return {one.name: one.state for one in states_of(folder)}


def test_results_failures_and_the_table(tmp_path):
    """A failure is repeated once; wrong input is not."""
    rows = {
        "a": {"number": 3},
        "b": {"number": 2, "fail": "once"},
        "c": {"number": 2, "fail": "always"},
        "d": {"number": 2, "fail": "wrong"},
    }
    result = go(tmp_path, rows)
    assert (result.done, [report.name for report in result.failed]) == (2, ["c", "d"])
    assert [calls(tmp_path, name) for name in "acd"] == [1, 1, 1]  # the second has its own folder
    assert (tmp_path / "jobs/c/attempt-2.calls").exists()
    assert not (tmp_path / "jobs/d/attempt-2.calls").exists()
    assert states(tmp_path) == {"a": "finished", "b": "finished", "c": "failed", "d": "failed"}
    c, d = states_of(tmp_path)[2:]
    assert len(c.reasons) == 2 and c.reasons[1].endswith("it blew up")
    assert d.reasons == ("found a mess",)
    assert "Traceback" in json.loads(d.details.read_text())["traceback"]
    write_csv(collect_results(tmp_path), tmp_path / "results.csv")
    with open(tmp_path / "results.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == [
        "name",
        "state",
        "number",
        "fail",
        "square (nm^2)",
        "square error (nm^2)",
        "odd",
        "seconds",
        "attempts",
        "failure",
    ]
    assert [row["square (nm^2)"] for row in table] == ["9", "4", "", ""]
    assert [row["square error (nm^2)"] for row in table] == ["0.5", "0.5", "", ""]
    assert [row["attempts"] for row in table] == ["1", "2", "2", "1"]
    assert [row["fail"] for row in table] == ["", "once", "always", "wrong"]
    assert table[3]["failure"] == "found a mess"
    again = go(tmp_path, rows)
    assert (again.already, again.given_up, again.done) == (2, 2, 0)
    assert calls(tmp_path, "a") == 1


def test_the_last_lines_of_a_bug(tmp_path):
    """The place where it was raised; nnpmm's own errors need no traceback."""
    go(tmp_path, {"a": {"number": 1, "fail": "bug"}, "b": {"number": 1, "fail": "always"}})
    bug, known = states_of(tmp_path)
    assert bug.last_lines[-1] == "KeyError: 'shelf'"
    assert any('raise KeyError("shelf")' in line for line in bug.last_lines)
    assert known.last_lines == () and len(known.reasons) == 2


def test_rows_are_added_and_left_out(tmp_path):
    go(tmp_path, {"a": {"number": 1}, "b": {"number": 2}})
    go(tmp_path, {"c": {"number": 3}, "a": {"number": 1}})
    assert states(tmp_path) == {"c": "finished", "a": "finished"}
    go(tmp_path, {"b": {"number": 2}})
    assert [calls(tmp_path, name) for name in "abc"] == [1, 1, 1]


def test_other_settings_of_the_same_name_are_refused(tmp_path):
    """Started calculations keep settings and files; threads may change; failed ones may change."""
    file = tmp_path / "input.txt"
    file.write_text("one")
    rows = {"a": {"number": 1, "file": file}, "b": {"number": 2, "fail": "wrong"}}
    go(tmp_path / "out", rows)
    with pytest.raises(ConfigError, match="a was started with number 1, found 4; rename the row"):
        go(tmp_path / "out", {"a": {"number": 4, "file": file}})
    file.write_text("two")
    with pytest.raises(ConfigError, match="a was started with other content of a file"):
        go(tmp_path / "out", {"a": {"number": 1, "file": file, "threads": 2}})
    file.write_text("one")
    (tmp_path / "out/jobs/b/left").touch()
    result = go(
        tmp_path / "out", {"a": {"number": 1, "file": file, "threads": 2}, "b": {"number": 2}}
    )
    assert (result.already, result.done) == (1, 1)
    assert not (tmp_path / "out/jobs/b/left").exists()
    file.unlink()
    with pytest.raises(InputFileError, match=r"row a: .*input.txt: cannot be read"):
        go(tmp_path / "out", rows)


def test_a_campaign_of_another_command_is_refused(tmp_path):
    go(tmp_path, {"a": {"number": 1}})
    with pytest.raises(ConfigError, match="a campaign of 'square', found 'cube'"):
        run_listed([], "cube", square, tmp_path, cluster=SERIAL)
    with pytest.raises(InputFileError, match="found no campaign in this folder"):
        states_of(tmp_path / "jobs")
    (tmp_path / "campaign.json").write_text("{")
    with pytest.raises(InputFileError, match="cannot be read"):
        states_of(tmp_path)


def test_a_folder_that_another_process_holds_is_waited_for(tmp_path, monkeypatch):
    """A kill is no failure of the calculation, which the next campaign finishes."""
    monkeypatch.setattr("nnpmm.campaigns.attempts._LONGEST_WAIT", 0.0)
    monkeypatch.setattr("nnpmm.campaigns.attempts._PAUSE", 0.01)
    rows = {"a": {"number": 1, "fail": "locked"}}
    with locked(tmp_path / "jobs/a/.lock", "taken"):
        result = go(tmp_path, rows)
        assert result.failed[0].reasons == ("another process works here",)
    assert states(tmp_path) == {"a": "waiting"}
    assert go(tmp_path, rows).done == 1


def test_it_goes_on_as_soon_as_the_folder_is_free(tmp_path):
    from nnpmm.campaigns import first_success

    called = []

    def function(attempt, seed):
        called.append(seed)
        if len(called) < 3:
            raise LockedError("taken")
        return "done"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnpmm.campaigns.attempts._PAUSE", 0.01)
        assert first_success(function, [5, 6], reasons := []) == ("done", 5)
    assert called == [5, 5, 5] and reasons == []


def test_parquet(tmp_path):
    go(tmp_path, {"a": {"number": 3}, "b": {"number": 1, "fail": "wrong"}})
    table = collect_results(tmp_path)
    try:
        from pyarrow import parquet
    except ImportError:
        with pytest.raises(OptionalDependencyError, match="pip install pyarrow"):
            write_parquet(table, tmp_path / "results.parquet")
        return
    write_parquet(table, tmp_path / "results.parquet")
    found = parquet.read_table(tmp_path / "results.parquet").to_pydict()
    assert found["square (nm^2)"] == [9.0, None] and found["name"] == ["a", "b"]

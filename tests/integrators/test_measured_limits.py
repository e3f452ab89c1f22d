"""The limits of time steps are those that were measured, and the documentation says so."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from nnpmm.integrators import RegionMotion, Vibration
from nnpmm.integrators.timestep_limits import STEPS_PER_PERIOD

ROOT = Path(__file__).resolve().parents[2]
RESULTS = json.loads((ROOT / "benchmarks/results/time_steps.json").read_text())["results"]


@pytest.fixture(scope="module")
def benchmark():
    path = ROOT / "benchmarks/time_steps.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path.parent))
        spec = importlib.util.spec_from_file_location("time_steps", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@pytest.mark.parametrize("hydrogens", RESULTS["by_steps_per_period"])
def test_runs_blow_up_below_the_limit_and_none_at_it(hydrogens):
    needed = STEPS_PER_PERIOD["free" if hydrogens.startswith("free") else "constrained"]
    rows = {float(k): row for k, row in RESULTS["by_steps_per_period"][hydrogens].items()}
    assert needed in rows
    assert all(row["runs"] >= 24 for row in rows.values())
    for steps, row in rows.items():
        if steps >= needed:
            assert row["blew_up"] == row["blew_up_without_thermostat"] == 0
    below = [row for steps, row in rows.items() if steps < needed]
    assert any(row["blew_up"] for row in below)


def test_every_molecule_runs_at_4_fs_and_5_fs_with_the_masses_of_the_code():
    molecules = RESULTS["molecules"]
    assert len(molecules) >= 12
    for name, rows in molecules.items():
        period = RESULTS["fastest_vibration_fs"][name]["constrained, 3 amu"] / 1000
        motion = RegionMotion(Vibration(period, (0, 1)), ("", ""), False)
        for setting in ("vacuum, 4 fs", "water, 4 fs", "water, 5 fs"):
            row, step = rows[setting], float(setting.split()[1]) / 1000
            assert row["blew_up_at_ps"] is None
            assert row["mass_factor"] == pytest.approx(motion.mass_factor(step), rel=0.03)


def test_the_documentation_shows_these_results(benchmark):
    page = (ROOT / "docs/time-steps.md").read_text()
    for name, lines in benchmark.tables(RESULTS).items():
        shown = page.split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]
        assert shown.splitlines() == lines
    assert f"| {STEPS_PER_PERIOD['constrained']:g} steps | T / 5 |" in page
    assert f"| {STEPS_PER_PERIOD['free']:g} steps | T / 7 |" in page

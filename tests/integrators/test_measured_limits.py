"""The limits of time steps are those that were measured, and the documentation says so."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from nnpmm.integrators import RegionMotion, Vibration, choose_mass_factor
from nnpmm.integrators.mass_factor import LARGEST_MASS_FACTOR, RECOMMENDED_STEPS
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
def test_runs_blow_up_below_the_limit_and_not_at_it(hydrogens):
    needed = STEPS_PER_PERIOD["free" if hydrogens.startswith("free") else "constrained"]
    rows = {float(k): row for k, row in RESULTS["by_steps_per_period"][hydrogens].items()}
    assert needed in rows
    assert all(row["runs"] >= 24 for row in rows.values())
    for steps, row in rows.items():
        if steps >= needed:
            assert row["blew_up"] == row["blew_up_without_thermostat"] == 0
    below = [row for steps, row in rows.items() if steps < needed]
    assert any(row["blew_up"] for row in below)


def test_hot_runs_blow_up_only_below_the_recommended_steps_per_period():
    models = RESULTS["hot"]
    assert set(models) == {"ANI-1x", "ANI-2x", "ANI-1x, methanol"}
    cells = [
        (float(steps), row)
        for energies in models.values()
        for found in energies.values()
        for steps, row in found.items()
    ]
    assert all(row["runs"] >= 10 for _, row in cells)
    assert {steps for steps, _ in cells} >= {STEPS_PER_PERIOD["constrained"], RECOMMENDED_STEPS}
    assert sum(row["blew_up"] for steps, row in cells if steps >= RECOMMENDED_STEPS) == 0
    assert sum(row["blew_up"] for steps, row in cells if steps < RECOMMENDED_STEPS) > 0


def test_every_molecule_runs_at_4_fs_and_5_fs_with_the_smallest_mass_factor():
    molecules = RESULTS["molecules"]
    assert len(molecules) >= 12
    for name, rows in molecules.items():
        period = RESULTS["fastest_vibration_fs"][name]["constrained, 3 amu"] / 1000
        motion = RegionMotion(Vibration(period, (0, 1)), ("", ""), False)
        assert rows["vacuum, 1 fs"]["mass_factor"] == 1
        for setting in ("vacuum, 4 fs", "water, 4 fs", "water, 5 fs"):
            row, step = rows[setting], float(setting.split()[1]) / 1000
            least = motion.mass_factor(step, STEPS_PER_PERIOD["constrained"])
            assert row["blew_up_at_ps"] is None
            assert row["mass_factor"] == pytest.approx(least, rel=0.03)
            assert choose_mass_factor(motion, "auto", step) >= least


def test_the_documentation_shows_these_results(benchmark):
    page = (ROOT / "docs/validation/time-steps.md").read_text()
    for name, lines in benchmark.tables(RESULTS).items():
        shown = page.split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]
        assert shown.splitlines() == lines
    guide = (ROOT / "docs/time-steps.md").read_text()
    for bonds, text in {"constrained": "constrained (`region.", "free": "free (`none`"}.items():
        (row,) = [line for line in guide.splitlines() if line.startswith(f"| {text}")]
        assert row.endswith(f"| T / {STEPS_PER_PERIOD[bonds]:g} |")
    assert RECOMMENDED_STEPS == 7 and "has seven time steps per period" in guide
    assert f"seven time steps per period, at most {LARGEST_MASS_FACTOR:g}." in guide

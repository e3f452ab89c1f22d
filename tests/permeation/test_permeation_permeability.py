"""Diffusivities of a Langevin particle, and permeabilities of profiles with exact solutions."""

import json
import shlex
import sys
from math import erf, exp, pi, sqrt

import numpy as np
import pytest
from conftest import ROOT

from nnpmm.cli.errors import run_app
from nnpmm.cli.permeation import permeation
from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.permeation.dataset.folder import DatasetSettings, open_dataset
from nnpmm.permeation.labels.diffusivity import window_diffusivity
from nnpmm.permeation.labels.umbrella import UmbrellaSettings
from nnpmm.permeation.permeability import PermeationProfile, permeability
from nnpmm.permeation.runs.protocol import changed_settings, preset

KT = GAS_CONSTANT * 300.0
D = 1e-3  # nm^2/ps, that is, 1e-5 cm^2/s


def langevin(rng, samples, interval, variance=0.0025, diffusivity=D):
    """Exact trajectory of an overdamped particle in a harmonic well, nm."""
    decay = np.exp(-interval * diffusivity / variance)
    kicks = rng.normal(size=samples) * np.sqrt(variance * (1.0 - decay**2))
    heights = np.empty(samples)
    heights[0] = rng.normal() * np.sqrt(variance)
    for n in range(1, samples):
        heights[n] = decay * heights[n - 1] + kicks[n]
    return heights


def profile(heights, energies, errors=0.0, diffusivities=D, diffusivity_errors=0.0):
    zero = np.zeros(len(heights))
    return PermeationProfile(
        np.asarray(heights, dtype=float),
        np.asarray(energies, dtype=float),
        zero + errors,
        zero + diffusivities,
        zero + diffusivity_errors,
        300.0,
    )


def test_diffusivity_of_a_langevin_particle():
    rng = np.random.default_rng(3)
    found = [window_diffusivity(2.0 + langevin(rng, 8000, 0.25), 0.25) for _ in range(60)]
    values, errors = np.array([[d.value, d.error] for d in found]).T
    spread = values.std(ddof=1)
    assert values.mean() == pytest.approx(D, abs=0.02 * D + 3 * spread / sqrt(60))
    assert errors.mean() == pytest.approx(spread, rel=0.3)  # the spread has an error of 9 %
    times = [d.correlation_time for d in found]
    assert np.mean(times) == pytest.approx(2.5, rel=0.03)


def test_diffusivity_scales_with_units():
    heights = langevin(np.random.default_rng(1), 4000, 0.5)
    once = window_diffusivity(heights, 0.5)
    scaled = window_diffusivity(3.0 * heights, 0.25)
    assert scaled.value == pytest.approx(18.0 * once.value)
    assert scaled.error == pytest.approx(18.0 * once.error)
    assert scaled.correlation_time == pytest.approx(once.correlation_time / 2.0)


@pytest.mark.parametrize("heights", [np.zeros(100), np.arange(19.0), np.array([])])
def test_series_too_short_or_constant_is_refused(heights):
    with pytest.raises(SimulationError, match=r"a diffusivity needs 20 or more: sample longer"):
        window_diffusivity(heights, 1.0)


def test_windows_too_short_for_a_diffusivity_are_refused():
    with pytest.raises(ConfigError, match=r"fewer than 20 samples"):
        changed_settings(UmbrellaSettings(), production="9 ps")


def test_flat_profile():
    found = permeability(profile(np.linspace(-2, 2, 5), np.zeros(5)))
    assert found.value == pytest.approx(1e-5 / 4e-7)  # D / L, cm/s
    assert found.log10_error == 0.0 and found.weights.sum() == pytest.approx(1.0)


def test_rectangular_barrier():
    step = 1e-9
    heights = [-2, -1 - step, -1, 1, 1 + step, 2]
    found = permeability(profile(heights, [0, 0, 10, 10, 0, 0]))
    assert found.value == pytest.approx(1e-5 / (2e-7 * (1 + exp(10 / KT))), rel=1e-6)


def test_linear_profile_is_integrated_exactly():
    """For a linear profile with constant D, the integral of exp(a z) is exact for any points."""
    found = permeability(profile([-1, 0.2, 1], [0, 12, 20]))
    assert found.value == pytest.approx(1e-5 / (2e-7 * (exp(20 / KT) - 1) / (20 / KT)), rel=1e-9)


def test_parabolic_barrier_matches_the_error_function():
    exponent = 20.0 / KT
    exact = 4.0 * exp(exponent) * sqrt(pi / exponent) / 2.0 * erf(sqrt(exponent)) / D
    for points, tolerance in ((21, 4e-3), (81, 3e-4)):
        heights = np.linspace(0.0, 2.0, points)
        found = permeability(profile(heights, 20.0 * (1.0 - (heights / 2.0) ** 2)))
        assert found.value == pytest.approx(1e5 / exact, rel=tolerance)


def test_half_profile_is_mirrored():
    heights = np.linspace(0.0, 3.0, 31)
    energies = 8.0 * np.exp(-(heights**2))
    half = permeability(profile(heights, energies))
    both = np.concatenate([-heights[:0:-1], heights])
    whole = permeability(profile(both, np.concatenate([energies[:0:-1], energies])))
    assert half.value == pytest.approx(whole.value)


def test_position_dependent_diffusivity():
    """D = D0 exp(z), so that 1/P is the integral of exp(-z) / D0."""
    heights = np.linspace(0.0, 2.0, 6)
    found = permeability(profile(heights, np.zeros(6), diffusivities=D * np.exp(heights)))
    assert found.value == pytest.approx(1e5 * D / (2.0 * (1.0 - exp(-2.0))))


def test_speed_up_divides_the_permeability():
    flat = profile([0, 2], [0, 0])
    assert permeability(flat).value / permeability(flat, speed_up=4.0).value == pytest.approx(4.0)
    with pytest.raises(ConfigError, match="speed-up of 0, allowed: a positive number"):
        permeability(flat, speed_up=0.0)


def test_weights_are_the_derivatives_used_for_the_errors():
    rng = np.random.default_rng(8)
    heights, energies = np.linspace(0.0, 3.0, 12), rng.normal(0.0, 6.0, 12)
    found = permeability(profile(heights, energies, 0.5, D, 0.2 * D))
    slopes = []
    for n in range(12):
        moved = energies.copy()
        moved[n] += 1e-5
        slopes.append(-np.log(permeability(profile(heights, moved)).value / found.value))
    np.testing.assert_allclose(found.weights, np.array(slopes) * KT / 1e-5, atol=1e-5, rtol=0)
    together = 0.5 / KT  # free energies are fully correlated
    apart = 0.2 * np.linalg.norm(found.weights)
    assert found.log10_error == pytest.approx(np.hypot(together, apart) / np.log(10.0))


def test_errors_of_diffusivities_match_sampled_errors():
    rng = np.random.default_rng(9)
    heights, energies = np.linspace(0.0, 2.0, 9), 5.0 * np.linspace(1.0, 0.0, 9)
    expected = permeability(profile(heights, energies, 0.0, D, 0.05 * D)).log10_error
    drawn = [
        permeability(profile(heights, energies, diffusivities=D * rng.normal(1, 0.05, 9))).log10
        for _ in range(800)
    ]
    assert np.std(drawn) == pytest.approx(expected, rel=0.12)


def test_huge_barriers_do_not_overflow():
    heights = np.linspace(0.0, 2.0, 5)
    found = permeability(profile(heights, [3000.0, 3000.0, 0.0, 0.0, 0.0]))
    assert np.isfinite(found.log10) and found.log10 < -500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heights": [0, 2, 1]}, "heights must increase"),
        ({"heights": [1, 2, 3]}, "first height is 1 nm: begin at 0"),
        ({"diffusivities": -1.0}, "diffusivity of -0.01 cm.2/s, allowed: positive"),
        ({"energies": [0, np.nan, 0]}, "free_energies that is not finite"),
        ({"heights": [0.0, 1.0]}, "columns of shapes"),
    ],
)
def test_invalid_profiles_are_refused(change, message):
    arguments = {"heights": [0, 1, 2], "energies": [0, 0, 0]} | change
    with pytest.raises(ConfigError, match=message):
        profile(**arguments)


def main():
    run_app(permeation, sys.argv[1:])


TABLE = """# z, G, D
height_nm,free_energy_kj,free_energy_error_kj,diffusivity_cm2_s
0,10,1,1e-5
1,0,0,1e-5
2,0,0,1e-5
"""


def test_command_with_a_table(call, tmp_path):
    (tmp_path / "profile.csv").write_text(TABLE)
    arguments = ["--profile", tmp_path / "profile.csv", "-o", tmp_path / "out" / "p.json"]
    found = call(main, "permeability", *arguments)
    assert found.status == 0, found.err
    record = json.loads((tmp_path / "out" / "p.json").read_text())
    barrier = (exp(10 / KT) - 1) / (10 / KT)
    exact = 1e-5 / (2e-7 * (barrier + 1))
    assert record["permeability_cm_s"] == pytest.approx(exact)
    assert record["mirrored"] and record["speed_up"] == 1.0
    assert f"{exact:.3g} cm/s" in found.out and "Martini" not in found.out
    assert (tmp_path / "out" / "p.png").stat().st_size > 1000
    slower = call(main, "permeability", *arguments, "--speed-up", "4", "--diffusivity", "2e-5")
    assert f"{exact / 2:.3g} cm/s" in slower.out


@pytest.fixture
def umbrella(tmp_path):
    """The folder of a data set with the record of an umbrella profile."""
    settings = DatasetSettings(
        protocol=preset("short"), engine="gromacs", lipids=["DOPC"], solutes=["C1"]
    )
    folder = tmp_path / "set"
    open_dataset(folder, settings)
    record = {
        "heights_nm": [0.0, 1.0, 2.0],
        "profile_kj": [0.0, 0.0, 0.0],
        "errors_kj": [0.0, 0.0, 0.0],
        "diffusivities_nm2_ps": [D, D, D],
        "diffusivity_errors_nm2_ps": [0.0, 0.0, 0.0],
        "correlation_times_ps": [2.5, 2.0, 3.0],
        "interval_ps": 0.5,
        "settings": {"sample_interval": "0.5 ps"},
    }
    path = folder / "labels" / "umbrella" / "DOPC" / "C1.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    return folder, path, record


def test_command_with_umbrella_sampling(call, tmp_path, umbrella):
    folder, path, record = umbrella
    arguments = ["permeability", "--solute", "C1", "-d", folder, "-o", tmp_path / "p.json"]
    found = call(main, *arguments)
    assert "25 cm/s" in found.out and "--speed-up 4 divides P by 4" in found.out
    assert "about 4" not in call(main, *arguments, "--speed-up", "4").out
    call(main, *arguments[:2], "P4", *arguments[3:]).assert_one_line_error(
        "no profile of 'P4' in DOPC (there are: C1 in DOPC)", "label umbrella"
    )
    # The simulated interval counts, which is the requested one in whole time steps.
    path.write_text(json.dumps(record | {"interval_ps": 1.1}))
    call(main, *arguments).assert_one_line_error("every 1.1 ps", "sample_interval of 0.5 ps")
    del record["diffusivities_nm2_ps"]
    path.write_text(json.dumps(record))
    call(main, *arguments).assert_one_line_error("without diffusivities", "(diffusivity)")
    assert "25 cm/s" in call(main, *arguments, "--diffusivity", "1e-5").out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no column height_nm among none"]),
        ("height_nm,free_energy_kj,diffusivity_cm2_s\n", ["found 0 lines of numbers"]),
        ("height_nm,free_energy_kj,diffusivity_cm2_s\n0,0,1e-5\n", ["found 1 lines of numbers"]),
        (TABLE.replace(",", ";"), ["found no column height_nm among height_nm;free", "commas"]),
        (TABLE.replace("1,0,0,1e-5", "1,0,0"), ["line 4: found 3 cells, expected 4"]),
        (TABLE.replace("0,10,1", "0,10,-1"), ["negative value of free_energy_errors"]),
        (TABLE.replace("0,10,1", "0,nan,1"), ["free_energies that is not finite"]),
        (TABLE.replace("2,0,0", "2,30,1"), ["at 2 nm", "is 30 kJ/mol, expected 0", "of water"]),
        (TABLE.replace("\n0,10", "\n-1,10"), ["at -1 nm", "is 10 kJ/mol", "extend the profile"]),
        ("height_nm,diffusivity_cm2_s\n0,1\n", ["no column free_energy_kj"]),
        (
            "height_nm,free_energy_kj\n0,1\n",
            ["no column diffusivity_cm2_s", "one is given for all heights"],
        ),
        (TABLE.replace("0,10,1", "0,ten,1"), ["line 3: column free_energy_kj: found 'ten'"]),
        (TABLE.replace("1e-5\n2", "0\n2"), ["diffusivity of 0 cm^2/s", "positive"]),
    ],
)
def test_bad_tables_give_one_line(call, tmp_path, text, words):
    (tmp_path / "bad.csv").write_text(text)
    arguments = ["--profile", tmp_path / "bad.csv", "-o", tmp_path / "p.json"]
    call(main, "permeability", *arguments).assert_one_line_error(*words)
    assert not (tmp_path / "p.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--temperature", "-300"], ["temperature of -300 K, allowed: 200 to 500 K"]),
        (["--temperature", "27"], ["temperature of 27 K, allowed"]),
        (["--temperature", "nan"], ["temperature of nan K, allowed"]),
        (["--diffusivity", "-1"], ["diffusivity of -1 cm^2/s, allowed: positive"]),
        (["--speed-up", "-4"], ["speed-up of -4"]),
        (["-o", "p.png"], ["p.png", "ends in '.png', expected .json"]),
        (["-o", "."], ["expected .json"]),
        (["-o", "profile.csv/p.json"], ["profile.csv/p.json: cannot be written"]),
    ],
)
def test_bad_arguments_give_one_line(call, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile.csv").write_text(TABLE)
    found = call(main, "permeability", "--profile", "profile.csv", *arguments)
    found.assert_one_line_error(*words)
    assert [path.name for path in tmp_path.iterdir()] == ["profile.csv"]


def test_documented_command_works_on_the_shipped_data(call, tmp_path, monkeypatch):
    """The command with data/permeation in docs/permeability.md."""
    text = (ROOT / "docs" / "permeability.md").read_text()
    (line,) = [
        line
        for line in text.replace("\\\n", " ").splitlines()
        if line.startswith("nnpmm permeation permeability") and "data/permeation" in line
    ]
    monkeypatch.chdir(ROOT)
    command = shlex.split(line.partition("#")[0])[2:]
    found = call(main, *command, "-o", tmp_path / "p.json")
    assert found.status == 0, found.err
    record = json.loads((tmp_path / "p.json").read_text())
    assert f"P = {record['permeability_cm_s']:.2g} cm/s" in text


def test_missing_profiles_are_reported(call, tmp_path):
    arguments = ["permeability", "-d", ROOT / "data" / "permeation", "--solute"]
    for solute in ("P4-C1", "C1-P4"):
        call(main, *arguments, solute).assert_one_line_error(
            "DOPC/", "the profile exists, but was made without diffusivities", "(diffusivity)"
        )
    for request in (
        ["octanol"],
        ["C1-C1"],
        ["C1-P4", "--lipid", "DPPC"],
        ["C1-P4", "--lipid", "x"],
    ):
        call(main, *arguments, *request).assert_one_line_error(
            "found no profile of", "there are: C1-P4 in DOPC", "label umbrella"
        )
    warm = call(main, *arguments, "C1-P4", "--temperature", "310")
    warm.assert_one_line_error("--temperature requires --profile")


def test_missing_source_of_the_profile_is_reported(call, tmp_path):
    call(main, "permeability").assert_one_line_error("either --profile", "or --solute")
    missing = call(main, "permeability", "--profile", tmp_path / "none.csv")
    missing.assert_one_line_error("none.csv", "cannot be read (No such file")

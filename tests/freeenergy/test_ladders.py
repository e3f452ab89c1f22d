"""Ladders of oscillators: free energies, convergence, and files that alchemlyb reads."""

from __future__ import annotations

import numpy as np
import pytest
from test_estimators import KT, TEMPERATURE, walk

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.freeenergy import convergence, ladders, solve_ladder, write_xvg
from nnpmm.freeenergy.ladders import independent_windows

CONSTANTS = np.geomspace(1.0, 16.0, 5)
EXACT = 0.5 * KT * np.log(16.0)


def oscillators(rng, n, constants=CONSTANTS, time=0.0):
    """Energies (n, K), kJ/mol, of samples of each oscillator, with a correlation time."""
    found = []
    for constant in constants:
        x = walk(rng, n, time) if time else rng.normal(size=n)
        found.append(0.5 * KT * constants * (x[:, None] ** 2 / constant))
    return found


def test_ladder_of_oscillators():
    windows = oscillators(np.random.default_rng(1), 1000)
    found = solve_ladder(windows, temperature=TEMPERATURE)
    ends = found.between()
    assert abs(ends.value - EXACT) < 4 * ends.error < 0.4 * KT
    steps = np.diag(found.delta, 1)
    assert np.abs(steps - EXACT / 4).max() < 4 * np.diag(found.error, 1).max()


def test_correlated_samples_have_larger_errors():
    """A correlation time of 10 samples of x is one of 5 of x^2: one sample in 10 is independent."""
    slow = solve_ladder(oscillators(np.random.default_rng(2), 4000, time=10), temperature=300)
    assert (200 < slow.samples).all() and (slow.samples < 800).all()
    assert abs(slow.between().value - EXACT) < 4 * slow.between().error


def test_equilibration_is_discarded():
    windows = oscillators(np.random.default_rng(3), 1500)
    drift = 20 * np.exp(-np.arange(1500) / 40)
    for energies in windows:
        energies += drift[:, None] * np.arange(5)
    kept = independent_windows(windows, equilibration=True)
    assert all(len(each) > 500 for each in kept)
    ends = solve_ladder(windows, temperature=TEMPERATURE, equilibration=True).between()
    assert abs(ends.value - EXACT) < 5 * ends.error
    biased = solve_ladder(windows, temperature=TEMPERATURE, min_overlap=1e-6).between()
    assert abs(biased.value - EXACT) > 5 * ends.error


def test_a_gap_in_the_ladder_names_its_neighbours():
    windows = oscillators(np.random.default_rng(4), 500, np.array([1.0, 2.0, 4e6, 8e6]))
    with pytest.raises(SimulationError, match="states half and most overlap too little"):
        solve_ladder(windows, temperature=300, names=["none", "half", "most", "all"])


def test_convergence_in_both_directions():
    """The first third of every state is out of equilibrium, by 2 kT from end to end."""
    windows = oscillators(np.random.default_rng(5), 900)
    for energies in windows:
        energies[:300] += 0.5 * KT * np.arange(5)
    found = convergence(windows, temperature=TEMPERATURE, points=9)
    np.testing.assert_allclose(found.fractions, np.arange(1, 10) / 9)
    # At the end both have all samples.
    assert found.forward[-1] == pytest.approx(found.backward[-1], abs=1e-9)
    full = solve_ladder(windows, temperature=TEMPERATURE).between()
    assert (found.forward[-1], found.forward_error[-1]) == pytest.approx((full.value, full.error))
    assert abs(found.forward[1] - EXACT - 2 * KT) < 4 * found.forward_error[1]
    assert abs(found.backward[4] - EXACT) < 4 * found.backward_error[4]
    with pytest.raises(ConfigError, match="found 0 points"):
        convergence(windows, temperature=TEMPERATURE, points=0)


def test_convergence_has_nan_where_mbar_fails(monkeypatch):
    """nan if MBAR fails for a part of the samples; an error if it fails for all."""

    def refusing(energies, samples, **options):
        if sum(samples) < least:
            raise SimulationError("MBAR found no free energies")
        return solve(energies, samples, **options)

    windows, solve = oscillators(np.random.default_rng(5), 100), ladders.mbar
    monkeypatch.setattr(ladders, "mbar", refusing)
    least = 200
    found = convergence(windows, temperature=TEMPERATURE, points=4)
    assert np.isnan(found.forward[0]) and np.isnan(found.backward[0])
    assert np.isfinite(found.forward[2:]).all()
    least = 10**6
    with pytest.raises(SimulationError, match="no free energies"):
        convergence(windows, temperature=TEMPERATURE, points=4)


@pytest.mark.parametrize("windows", [[np.zeros((3, 1))], [np.zeros((3, 2)), np.zeros((3, 3))]])
def test_invalid_ladders_are_refused(windows):
    with pytest.raises(ConfigError, match=r"found energies of shape .* allowed: \(samples, states"):
        solve_ladder(windows, temperature=TEMPERATURE)


def test_xvg_files_have_the_columns_of_gromacs(tmp_path):
    windows = oscillators(np.random.default_rng(6), 4, CONSTANTS[:3])
    lambdas = {"coul": [0.0, 1.0, 1.0], "vdw": [0.0, 0.0, 1 / 3]}
    paths = write_xvg(tmp_path, windows, lambdas, temperature=300, interval=0.5)
    assert [path.name for path in paths] == ["state-00.xvg", "state-01.xvg", "state-02.xvg"]
    lines = paths[1].read_text().splitlines()
    assert (
        r'@ subtitle "T = 300 (K) \xl\f{} state 1: (coul-lambda, vdw-lambda) = (1.0, 0.0)"' in lines
    )
    assert r'@ s2 legend "\xD\f{}H \xl\f{} to (1.0, 0.3333333333333333)"' in lines
    table = np.loadtxt(paths[1], comments=["#", "@"])
    np.testing.assert_allclose(table[:, 0], [0, 0.5, 1, 1.5])
    expected = windows[1] - windows[1][:, [1]]
    np.testing.assert_allclose(table[:, 1:], expected, rtol=0, atol=1e-8)
    with pytest.raises(ConfigError, match=r"found \{'vdw': 2\} values of lambda for 3 states"):
        write_xvg(tmp_path, windows, {"vdw": [0, 1]}, temperature=300, interval=1.0)


@pytest.mark.parametrize("kinds", [("vdw",), ("coul", "vdw")])
def test_alchemlyb_reads_the_files(tmp_path, kinds):
    alchemlyb = pytest.importorskip("alchemlyb", reason="pip install alchemlyb")
    from alchemlyb.estimators import MBAR
    from alchemlyb.parsing.gmx import extract_u_nk

    windows = oscillators(np.random.default_rng(7), 300)
    lambdas = {kind: np.linspace(0, 1, 5) for kind in kinds}
    paths = write_xvg(tmp_path, windows, lambdas, temperature=TEMPERATURE, interval=1.0)
    read = alchemlyb.concat([extract_u_nk(path, T=TEMPERATURE) for path in paths])
    found = KT * MBAR().fit(read).delta_f_.iloc[0, -1]
    energies = np.concatenate(windows).T
    from nnpmm.freeenergy import mbar

    expected = mbar(energies, [300] * 5, temperature=TEMPERATURE).between()
    np.testing.assert_allclose(found, expected.value, rtol=0, atol=1e-4)

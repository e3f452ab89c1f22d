"""Averages over replicas, comparisons of two systems, and the cache of observations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from complexes_of_peptides import create_complex, rows_of, save, source
from scipy import stats

from nnpmm.analysis import analyze, compare, gather
from nnpmm.analysis.averages import Average
from nnpmm.analysis.comparison import _adjusted, _difference
from nnpmm.analysis.quantities import Quantity
from nnpmm.core.errors import ConfigError


@pytest.fixture(scope="module")
def system():
    return create_complex(n_water=0)


def trajectory(folder, name, system, lift=0.0, seed=1, count=60):
    """Independent frames, with the ligand at another distance than in the reference."""
    topology, positions = system
    generator = np.random.default_rng(seed)
    frames = positions + generator.normal(scale=0.008, size=(count, *positions.shape))
    frames[:, rows_of(topology, "LIG")] += [0, 0, lift]
    return source(save(folder / f"{name}.dcd", topology, frames), topology, reference=positions)


def quantity(value, error, kind="overall", name="x", samples=1000):
    a = Average(value, error, 1.0, samples)
    return Quantity(kind, name, "", (a,), a)


def test_a_difference_has_the_error_of_both_and_welchs_p_value():
    first, second = quantity(1.0, 0.3, samples=10), quantity(2.0, 0.4, samples=20)
    found = _difference(first, second)
    assert found.value == 1
    assert found.error == pytest.approx(0.5)
    expected = stats.ttest_ind_from_stats(
        1.0, 0.3 * np.sqrt(10), 10, 2.0, 0.4 * np.sqrt(20), 20, equal_var=False
    )
    assert found.p_value == pytest.approx(expected.pvalue)


def test_among_many_differences_by_chance_none_is_significant():
    """Of 400 differences that are zero, about 18 exceed two standard errors."""
    generator = np.random.default_rng(1)
    plain = [
        _difference(quantity(0.0, 0.7), quantity(float(value), 0.7))
        for value in generator.normal(scale=np.sqrt(2) * 0.7, size=400)
    ]
    assert 8 < sum(d.significant for d in plain) < 32
    assert not any(d.significant for d in _adjusted(plain))
    real = _difference(quantity(0.0, 0.1), quantity(2.0, 0.1))
    assert [d.significant for d in _adjusted([*plain, real])].count(True) == 1


def test_holms_p_values():
    differences = [
        replace(_difference(quantity(0.0, 0.1), quantity(1.0, 0.1)), p_value=p)
        for p in (0.01, 0.04, 0.03)
    ]
    assert [d.p_value for d in _adjusted(differences)] == pytest.approx([0.03, 0.06, 0.06])


def test_no_difference_is_said_with_its_error():
    found = _difference(quantity(1.0, 0.03), quantity(1.01, 0.04))
    assert found.verdict == "no difference (± 0.11)"
    unknown = _difference(quantity(1.0, float("nan")), quantity(5.0, 0.1))
    assert unknown.significant is None
    assert unknown.verdict == "error not known"


def test_a_difference_beyond_its_error_is_never_called_none():
    """Four standard errors, but a p value that is expected among so many differences."""
    few = _difference(quantity(1.0, 0.1, samples=3), quantity(1.6, 0.11, samples=3))
    found, *_ = _adjusted([few, *[_difference(quantity(1.0, 0.1), quantity(1.0, 0.1))] * 20])
    assert found.significant is False
    assert found.value > 4 * found.error
    assert found.verdict.startswith("not significant (p = ")


def test_a_shift_within_a_rotamer_is_found(system, tmp_path):
    """Two basins near 180 degrees that merge when pooled: equal populations, different angles."""
    seen = analyze(trajectory(tmp_path, "any", system)).replicas[0]

    def around(center, seed):
        angles = center + np.random.default_rng(seed).normal(scale=15, size=(seen.n_frames, 1))
        angles = ((angles + 180) % 360 - 180).astype(np.float32)
        return replace(seen, torsions=angles, torsion_labels=("a-b-c-d",))

    systems = [gather([around(c, 2 * n + k) for k in (0, 1)]) for n, c in enumerate((170, -165))]
    found = compare(*systems)
    (population,) = found.of_kind("torsion")
    assert population.value == 0 and not population.significant
    (angle,) = found.of_kind("angle")
    assert angle.significant and angle.verdict == "higher"
    assert angle.value == pytest.approx(25, abs=4 * 15 * np.sqrt(2 / (2 * seen.n_frames)))
    assert angle.error == pytest.approx(15 * np.sqrt(2 / (2 * seen.n_frames)), rel=0.8)


def test_a_ligand_that_left_its_place_is_found(system, tmp_path):
    still = analyze([trajectory(tmp_path, n, system, seed=k) for k, n in enumerate("ab")])
    moved = analyze([trajectory(tmp_path, n, system, 0.12, seed=k) for k, n in enumerate("cd", 5)])
    found = {d.first.name: d for d in compare(still, moved).differences}
    assert found["ligand RMSD in the site"].verdict == "higher"
    before = found["ligand RMSD in the site"].first.average.value  # angstrom
    expected = np.hypot(1.2, before) - before  # noise adds to the shift in quadrature
    assert found["ligand RMSD in the site"].value == pytest.approx(expected, abs=0.06)
    assert found["receptor RMSD"].significant is False
    assert found["ligand RMSD, internal"].significant is False


def test_a_contact_that_one_system_never_has_is_compared(system, tmp_path):
    near = analyze(trajectory(tmp_path, "near", system, -0.1))
    far = analyze(trajectory(tmp_path, "far", system, 0.12))
    names = {q.name for q in near.of_kind("contact")} - {q.name for q in far.of_kind("contact")}
    assert names
    found = {d.first.name: d for d in compare(near, far).differences}
    for name in names:
        assert found[name].second.average.value == 0
        assert found[name].second.average.error > 0


def test_replicas_are_averaged(system, tmp_path):
    sources = [trajectory(tmp_path, n, system, seed=k) for k, n in enumerate("abc")]
    together = analyze(sources, name="all")
    alone = [analyze(s) for s in sources]
    (rmsd,) = [q for q in together.quantities if q.name == "receptor RMSD"]
    values = [q.average.value for a in alone for q in a.quantities if q.name == "receptor RMSD"]
    assert [a.value for a in rmsd.replicas] == values
    assert rmsd.average.value == pytest.approx(np.mean(values))
    assert rmsd.average.spread == pytest.approx(np.std(values, ddof=1))
    assert rmsd.average.samples == 180


def test_the_error_of_a_fluctuation_is_that_of_its_scatter(system, tmp_path):
    found = [
        analyze(trajectory(tmp_path, str(k), system, seed=k, count=100)).of_kind("fluctuation")
        for k in range(12)
    ]
    scatter = np.std([[q.average.value for q in f] for f in found], axis=0, ddof=1)
    errors = np.mean([[q.average.error for q in f] for f in found], axis=0)
    np.testing.assert_allclose(errors.mean(), scatter.mean(), rtol=0.4)


def test_what_was_observed_is_kept_by_content(system, tmp_path, monkeypatch):
    given = trajectory(tmp_path, "a", system)
    cache = tmp_path / "cache"
    first = analyze(given, cache=cache)
    (path,) = cache.glob("*.safetensors")

    def refuse(*args, **kwargs):
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr("nnpmm.analysis.analyzing.observe", refuse)
        again = analyze(given, cache=cache)
        assert [q.average for q in again.quantities] == pytest.approx(
            [q.average for q in first.quantities], nan_ok=True
        ) or repr(again.quantities) == repr(first.quantities)
        np.testing.assert_array_equal(
            again.replicas[0].view.positions, first.replicas[0].view.positions
        )
        with pytest.raises(AssertionError, match="read again"):  # another setting
            analyze(given, cache=cache, water_around="resname LIG")
        with pytest.raises(AssertionError, match="read again"):  # another file
            analyze(trajectory(tmp_path, "b", system, seed=9), cache=cache)
    path.write_bytes(path.read_bytes()[:100])
    analyze(given, cache=cache)
    assert path.stat().st_size > 100


def test_nothing_to_analyse_or_to_compare(system, tmp_path):
    with pytest.raises(ConfigError, match="found no trajectory"):
        gather([])

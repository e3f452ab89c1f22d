"""An early warning if neighbouring states overlap too little."""

from __future__ import annotations

import re

import numpy as np
import pytest
from small_ladders import METHANE

from nnpmm.freeenergy.legs import early_check, sample_leg
from nnpmm.freeenergy.legs.early_check import iterations_before_check, warn_of_gap
from nnpmm.freeenergy.solvation import SolvationSettings
from nnpmm.freeenergy.solvation.ladders import create_leg
from nnpmm.freeenergy.solvation.preparation import prepare
from nnpmm.sampling import ExchangeSettings, write_samples

KT = 2.494338785445972  # kJ/mol at 300 K


def write_harmonic_ladder(folder, minima) -> tuple[str, ...]:
    """Write samples of harmonic oscillators, and return the names of their states."""
    minima = np.array(minima, dtype=np.float64)
    settings = ExchangeSettings(
        states=tuple({"minimum": value} for value in minima.tolist()),
        temperature=300.0,
        timestep=0.004,
        steps=250,
        n_atoms=1,
    )
    sampled = minima + np.random.default_rng(1).normal(size=(50, len(minima)))
    energies = 0.5 * KT * (sampled[:, :, None] - minima) ** 2
    write_samples(folder, settings, energies, np.zeros(sampled.shape))
    return tuple(f"x {value:g}" for value in minima)


def test_a_gap_is_reported_with_its_states(tmp_path, caplog):
    warn_of_gap(tmp_path, write_harmonic_ladder(tmp_path, [0.0, 1.0, 7.0, 8.0]))
    assert "after 50 iterations, states x 1 and x 7 overlap by only" in caplog.text
    assert "add states between them" in caplog.text


def test_sufficient_overlap_is_not_reported(tmp_path, caplog):
    warn_of_gap(tmp_path, write_harmonic_ladder(tmp_path, [0.0, 1.0, 2.0, 3.0]))
    assert not caplog.records


@pytest.mark.parametrize(
    ("iterations", "expected"), [(1000, 100), (200, 50), (100, 50), (99, None), (1, None)]
)
def test_the_check_comes_after_a_tenth_of_the_iterations(iterations, expected):
    assert iterations_before_check(iterations) == expected


def test_sampling_checks_the_overlap(tmp_path, caplog, monkeypatch):
    # The overlap of so few samples is near 0.03; here every overlap is too small.
    monkeypatch.setattr(early_check, "MIN_OVERLAP", 1.0)
    ladder = {**METHANE["ladder"], "sterics": [0], "time": "4 ps", "interval": "0.04 ps"}
    settings = SolvationSettings.model_validate({**METHANE, "ladder": ladder})
    leg = create_leg(settings, prepare(settings, tmp_path).system_of("force field"), "force field")

    def stop(_: str, done: int, total: int) -> None:
        if (done, total) == (51, 100):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_leg(settings, settings.ladder, leg, tmp_path / "ladder", seed=1, report=stop)
    # The charged and the uncharged molecule overlap almost fully, so chance decides which is named.
    assert re.search(r"states q [01] and LJ 0 overlap by only", caplog.text)

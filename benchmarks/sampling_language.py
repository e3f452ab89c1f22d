"""Language model and Markov model of trajectories of states, compared with a long reference.

    python benchmarks/sampling_language.py

Langevin dynamics (BAOAB, mass 1, friction 1, beta 9.5) in two dimensions, U = 1e-4 (x^6 + y^6) less
Gaussian wells of depth 1; states are the nearest wells, in both dimensions or along x alone (the
projection test). Also the discrete double well of deeptime, whose transition matrix is known.
deeptime is needed.
"""

from __future__ import annotations

import sys

import numba
import numpy as np
from common import data_folder, write_results

from nnpmm.learning.language import (
    LanguageSettings,
    MarkovModel,
    assign_states,
    fit_markov_model,
    kinetics_of,
    smooth_recrossings,
    train_language_model,
)
from nnpmm.learning.language.comparison import compare_with_reference

BETA, FRICTION, STEP, SAVED = 9.5, 1.0, 0.05, 20  # a frame every SAVED steps
SIGMA = 0.8
WELLS = {
    "3 states": np.array([[-1.5, -1.0], [0.0, 1.0], [1.5, -1.0]]),
    "4 states": np.array([[2.0, -1.0], [0.5, 1.2], [-0.5, -1.2], [-2.0, 1.0]]),
}
TRAINING, LONGER, LAG = 100_000, 20, 10
LEAST = 5  # frames of a visit that counts
SETTINGS = LanguageSettings(epochs=60, patience=10)


@numba.njit
def langevin(wells, frames, saved, step, seed):
    """Positions (frames, 2) of one walk."""
    np.random.seed(seed)
    found = np.empty((frames, 2))
    x, v = wells[0].copy(), np.zeros(2)
    f = np.zeros(2)
    damp = np.exp(-FRICTION * step)
    kick = np.sqrt((1 - damp**2) / BETA)
    for frame in range(frames):
        for _ in range(saved):
            v += 0.5 * step * f
            x += 0.5 * step * v
            v = damp * v + kick * np.random.standard_normal(2)
            x += 0.5 * step * v
            f = -6e-4 * x**5
            for k in range(len(wells)):
                d = x - wells[k]
                f -= np.exp(-(d**2).sum() / (2 * SIGMA**2)) * d / SIGMA**2
            v += 0.5 * step * f
        found[frame] = x
    return found


def compare(name, training, reference, n_states, lag):
    """Train, generate as many frames as the reference has, and print and return the rows."""
    model = train_language_model([training], SETTINGS, n_states=n_states)
    walkers = 50
    length = max(2000, min(len(reference), 1_000_000) // walkers)
    new = model.generate(length, walkers=walkers, seed=1)
    markov = fit_markov_model([training], n_states, lag)
    sources = {"language model": list(new), "training data": [training]}
    found = compare_with_reference([reference], sources, n_states, lag=lag, markov=markov)
    data = found.data()
    data["transitions_in_training"] = model.card.transitions
    data["epochs"] = len(model.card.validation)
    print(f"\n{name}: {len(training)} frames of training with {model.card.transitions} transitions,"
          f" reference {len(reference)} frames")  # fmt: skip
    off = ~np.eye(n_states, dtype=bool)
    reference_row = found.rows[0]
    for row, entry in zip(found.rows, data["rows"], strict=True):
        error = np.hypot(np.nan_to_num(row.passage_errors), reference_row.passage_errors)[off]
        apart = np.abs(row.passage_times - reference_row.passage_times)[off]
        relative = apart / reference_row.passage_times[off]
        entry["passage_within_15_percent_or_2_sigma"] = float(
            np.mean((relative < 0.15) | (apart < 2 * error))
        )
        entry["mean_relative_passage_deviation"] = float(relative.mean())
        print(f"  {row.name:24} populations {np.round(row.populations, 3)}, off by "
              f"{found.population_error(row):.3f}; first passage off by "
              f"{100 * relative.mean():.0f} % (mean), {100 * relative.max():.0f} % (largest); "
              f"timescales {np.round(row.timescales[:2])}")  # fmt: skip
    return data


def model_potentials() -> dict:
    """Three and four wells, in two dimensions and along x alone."""
    results = {}
    for name, wells in WELLS.items():
        early = langevin(wells, TRAINING, SAVED, STEP, 1)
        late = langevin(wells, LONGER * TRAINING, SAVED, STEP, 2)
        for label, columns in (("", slice(0, 2)), (", x alone", slice(0, 1))):
            places = wells[:, columns]
            states = [
                smooth_recrossings(assign_states(w[:, columns], places), LEAST)
                for w in (early, late)
            ]
            results[name + label] = compare(name + label, *states, len(wells), LAG)
    return results


def double_well() -> dict:
    """The discrete double well of deeptime by its matrix, in four coarse states."""
    with np.load(data_folder() / "trajectories/double_well_discrete.npz") as data:
        matrix = data["P"]
    # Both from the matrix: the trajectory in this file jumps by several bins, a stride not stated.
    chain = MarkovModel(matrix, 1, np.full(len(matrix), np.nan))
    walks = [chain.generate(n, seed=s, start=34) for n, s in ((TRAINING, 1), (2_000_000, 2))]
    states = [np.digitize(walk, [45, 50, 55]).astype(np.int64) for walk in walks]
    return {"double well": compare("double well", *states, 4, LAG)}


def amounts() -> dict:
    """How the errors of both models fall with the length of the training data."""
    wells = WELLS["3 states"]
    late = langevin(wells, LONGER * TRAINING, SAVED, STEP, 2)
    reference = smooth_recrossings(assign_states(late, wells), LEAST)
    results = {}
    for frames in (5_000, 20_000, 100_000):
        early = langevin(wells, frames, SAVED, STEP, 7)
        training = smooth_recrossings(assign_states(early, wells), LEAST)
        name = f"3 states, {frames} frames"
        results[name] = compare(name, training, reference, len(wells), LAG)
    return results


if __name__ == "__main__":
    if "--kinetics" in sys.argv:
        for name, wells in WELLS.items():
            walk = smooth_recrossings(
                assign_states(langevin(wells, TRAINING, SAVED, STEP, 1), wells), LEAST
            )
            found = kinetics_of([walk], len(wells))
            print(name, found.transitions, found.populations, found.dwell)
        raise SystemExit
    results = {**model_potentials(), **double_well(), **amounts()}
    write_results("sampling_language", results)

"""Measure how far simple models of state counts are from the truth, given their training data.

    python benchmarks/sampling_language_data.py
    python benchmarks/sampling_language_data.py --table  # write the table into the docs

The systems are those of sampling_language.py, with six independent trajectories of each. The models
are Markov models at lags of 1 and 10 frames, and one with a memory of visits. The latter draws each
visit, its length and the following state from those visits in the training data to the same state
that came from the same previous state. Models trained on the whole reference show the error of
their form; models trained on less show the error of the data. The true populations are those of the
potential by quadrature, and the true passage times those of the reference. Both are exact for the
double well. The script needs deeptime.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numba
import numpy as np
from common import RESULTS, data_folder, write_results, write_section
from numpy.typing import NDArray
from sampling_language import BETA, PAGE, SIGMA, STEP, WELLS, langevin

from nnpmm.core.errors import SimulationError
from nnpmm.learning.language import (
    MarkovModel,
    assign_states,
    first_passage_times,
    fit_markov_model,
    kinetics_of,
    smooth_recrossings,
)

SAVED, LEAST = 20, 5  # steps between frames; frames of a visit, or it is removed
FRAMES, REPEATS = (25_000, 100_000, 400_000), 6
WALKS, LENGTH = 4, 1_000_000  # in the reference; frames of each
GENERATED = 500_000
States = NDArray[np.int64]


def generate_visits(states: States, n_frames: int, seed: int) -> States:
    """Return a trajectory of visits drawn from those of another trajectory."""
    rng = np.random.default_rng(seed)
    starts = np.flatnonzero(np.diff(states, prepend=states[0] - 1))
    lengths, order = np.diff(starts), states[starts]
    known: dict[tuple[int, int], list[int]] = {}
    for visit in range(1, len(order) - 1):
        known.setdefault((int(order[visit - 1]), int(order[visit])), []).append(visit)
    pieces, total, visit = [], 0, 1
    while total < n_frames:
        pieces.append(np.full(lengths[visit], order[visit]))
        total += int(lengths[visit])
        following = known.get((int(order[visit]), int(order[visit + 1])))
        visit = int(rng.choice(following)) if following else 1
    return np.concatenate(pieces)[:n_frames]


def models_of(states: States, n_states: int, seed: int) -> dict[str, tuple]:
    """Return populations and passage times of every model trained on a trajectory."""
    found = {"data": (np.bincount(states, minlength=n_states) / len(states),
                      first_passage_times(states, n_states))}  # fmt: skip
    for lag in (1, 10):
        model = fit_markov_model([states], n_states, lag)
        found[f"Markov model, lag {lag}"] = model.populations, model.passage_times
    new = generate_visits(states, max(GENERATED, len(states)), seed)
    found["visits"] = (np.bincount(new, minlength=n_states) / len(new),
                       first_passage_times(new, n_states))  # fmt: skip
    return found


def deviations(found: dict, truth: tuple, errors: NDArray[np.float64]) -> dict[str, list[float]]:
    """Return errors of populations and passage times, and the fraction of pairs in the target."""
    off = ~np.eye(len(truth[0]), dtype=bool)
    rows = {}
    for name, (populations, times) in found.items():
        apart = np.abs(times - truth[1])[off]
        relative = apart / truth[1][off]
        inside = (relative < 0.15) | (apart < 2 * errors[off])
        rows[name] = [
            float(np.abs(populations - truth[0]).mean()),
            float(relative.mean()),
            float(inside.mean()),
        ]
    return rows


def report_deviations(
    name: str, truth: tuple, long: States, walks: list[States], n_states: int
) -> dict:
    """Print and return the deviations of all models for every length of training data."""
    nothing = np.zeros((n_states, n_states))
    reference = deviations(models_of(long, n_states, 1), truth, nothing)
    rows: dict[str, dict[str, Any]] = {
        "reference": {model: {"mean": mean, "error": None} for model, mean in reference.items()}
    }
    for frames in FRAMES:
        each, refused, changes = [], 0, []
        for seed, walk in enumerate(walks):
            training = walk[:frames]
            errors = kinetics_of([training], n_states).passage_errors
            try:
                found = models_of(training, n_states, seed)
            except SimulationError as error:
                print(f"{name}: {frames} frames, walk {seed}: {error}")
                refused += 1
                continue
            each.append(deviations(found, truth, errors))
            changes.append(int((np.diff(training) != 0).sum()))
        rows[str(frames)] = {
            model: {
                "mean": np.mean([e[model] for e in each], axis=0).tolist(),
                "error": (
                    np.std([e[model] for e in each], axis=0, ddof=1) / len(each) ** 0.5
                ).tolist(),
            }
            for model in each[0]
        }
        rows[str(frames)]["transitions"] = float(np.mean(changes))
        rows[str(frames)]["refused"] = refused
    for length, of_models in rows.items():
        for model, row in of_models.items():
            if isinstance(row, dict):
                print(f"{name:18} {length:>9} {model:22} populations {row['mean'][0]:.4f}, first "
                      f"passage {100 * row['mean'][1]:.1f} %, in the target "
                      f"{100 * row['mean'][2]:.0f} %", flush=True)  # fmt: skip
    return rows


def boltzmann(wells: NDArray[np.float64], columns: slice) -> NDArray[np.float64]:
    """Return populations of the states by quadrature, without rules for recrossings."""
    line = np.linspace(-4.5, 4.5, 901)
    x, y = np.meshgrid(line, line, indexing="ij")
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    energy = 1e-4 * (places**6).sum(axis=1)
    for well in wells:
        energy -= np.exp(-((places - well) ** 2).sum(axis=1) / (2 * SIGMA**2))
    weights = np.exp(-BETA * (energy - energy.min()))
    states = assign_states(places[:, columns], wells[:, columns])
    found = np.bincount(states, weights, len(wells))
    return found / found.sum()


def model_potentials() -> dict:
    """Return the results of three and four wells, in two dimensions and along x alone."""
    results = {}
    for name, wells in WELLS.items():
        walks = [langevin(wells, max(FRAMES), SAVED, STEP, 100 + s) for s in range(REPEATS)]
        long = [langevin(wells, LENGTH, SAVED, STEP, 200 + s) for s in range(WALKS)]
        for label, columns in (("", slice(0, 2)), (", x alone", slice(0, 1))):
            places = wells[:, columns]
            early, late = (
                [smooth_recrossings(assign_states(w[:, columns], places), LEAST) for w in group]
                for group in (walks, long)
            )
            truth = kinetics_of(late, len(wells))
            off = ~np.eye(len(wells), dtype=bool)
            exact = boltzmann(wells, columns)
            print(name + label, "populations", truth.populations, "by quadrature", exact)
            results[name + label] = {
                "reference_populations": truth.populations.tolist(),
                "reference_population_errors": truth.population_errors.tolist(),
                "populations_by_quadrature": exact.tolist(),
                "reference_passage_error": float(
                    (truth.passage_errors[off] / truth.passage_times[off]).mean()
                ),
                "deviations": report_deviations(
                    name + label,
                    (exact, truth.passage_times),
                    *(np.concatenate(late), early, len(wells)),
                ),
            }
    return results


@numba.njit
def chain(edges: NDArray[np.float64], frames: int, start: int, seed: int) -> States:
    """Return states (frames,) of a Markov chain with cumulative probabilities (k, k)."""
    np.random.seed(seed)
    found = np.empty(frames, dtype=np.int64)
    state = start
    for frame in range(frames):
        drawn = int(np.searchsorted(edges[state], np.random.random()))
        state = min(drawn, len(edges) - 1)
        found[frame] = state
    return found


def double_well() -> dict:
    """Return the results of deeptime's discrete double well, whose reference is exact."""
    with np.load(data_folder() / "trajectories/double_well_discrete.npz") as data:
        matrix = data["P"]
    values, vectors = np.linalg.eig(matrix.T)
    weights = np.abs(np.real(vectors[:, np.argmax(values.real)]))
    weights /= weights.sum()
    coarse = np.digitize(np.arange(len(matrix)), [45, 50, 55]).astype(np.int64)
    times = np.zeros((4, 4))
    for target in range(4):
        outside = np.flatnonzero(coarse != target)
        waits = np.linalg.solve(np.eye(len(outside)) - matrix[np.ix_(outside, outside)],
                                np.ones(len(outside)))  # fmt: skip
        for state in set(range(4)) - {target}:
            rows = coarse[outside] == state
            times[state, target] = np.average(waits[rows], weights=weights[outside][rows])
    truth = np.bincount(coarse, weights, 4), times
    walk = MarkovModel(matrix, 1, weights).matrix.cumsum(axis=1)
    walks = [coarse[chain(walk, max(FRAMES), 34, 100 + s)] for s in range(REPEATS)]
    long = coarse[chain(walk, WALKS * LENGTH, 34, 200)]
    return {
        "double well": {
            "reference_populations": truth[0].tolist(),
            "deviations": report_deviations("double well", truth, long, walks, 4),
        }
    }


def write_table() -> None:
    """Write the table of the results into docs/validation/trajectory-language.md."""
    found = json.loads((RESULTS / "sampling_language_data.json").read_text())["results"]
    lines = [
        "| system | frames | transitions | Markov model, lag 1 | Markov model, lag 10 | visits |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, system in found.items():
        for frames, models in system["deviations"].items():
            cells = [
                cell(models[model])
                for model in ("Markov model, lag 1", "Markov model, lag 10", "visits")
            ]
            count = f"{models['transitions']:.0f}" if "transitions" in models else ""
            shown = f"{int(frames):,}" if frames.isdigit() else f"{WALKS * LENGTH:,}"
            lines.append(f"| {name} | {shown} | {count} | {' | '.join(cells)} |")
    write_section(PAGE, "training data", lines)


def cell(row: dict) -> str:
    """Return deviations of populations and of first-passage times with their errors."""
    populations, times, _ = row["mean"]
    if row["error"] is None:
        return f"{populations:.3f}; {100 * times:.1f} %"
    errors = row["error"]
    return f"{populations:.3f} ± {errors[0]:.3f}; {100 * times:.1f} ± {100 * errors[1]:.1f} %"


if __name__ == "__main__" and "--table" in sys.argv:
    write_table()
elif __name__ == "__main__":
    write_results("sampling_language_data", {**double_well(), **model_potentials()})

"""Compare language models and Markov models of trajectories of states with a long reference.

    python benchmarks/sampling_language.py FOLDER  # continues from the results in FOLDER
    python benchmarks/sampling_language.py --table  # write the tables of the results into the docs

The first systems are Langevin dynamics (BAOAB, mass 1, friction 1, beta 9.5) in two dimensions, in
the potential U = 1e-4 (x^6 + y^6) minus Gaussian wells of depth 1. A state is the nearest well, in
both dimensions or along x alone (the projection test). The others are the discrete double well of
deeptime, whose transition matrix is known, in four coarse states, and alanine dipeptide in vacuum
with Amber's ff14SB at 300 K, with the states C7eq and C5. The script needs deeptime.

A deviation of a first-passage time counts as within its error if it is below 15 % or below two
standard errors of reference, training data and generated trajectory together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import numpy as np
import openmm
from common import RESULTS, ROOT, data_folder, write_results, write_section
from numpy.typing import NDArray
from openmm import unit
from sampling_alanine import alanine_dipeptide

from nnpmm.learning.language import (
    Kinetics,
    LanguageSettings,
    MarkovModel,
    assign_states,
    fit_markov_model,
    kinetics_of,
    smooth_recrossings,
    train_language_model,
)
from nnpmm.torsions.internal import dihedral

PAGE = ROOT / "docs" / "validation" / "trajectory-language.md"
BETA, FRICTION, STEP, SAVED = 9.5, 1.0, 0.05, 50  # a frame every SAVED steps
SIGMA = 0.8
WELLS = {
    "3 states": np.array([[-1.5, -1.0], [0.0, 1.0], [1.5, -1.0]]),
    "4 states": np.array([[2.0, -1.0], [0.5, 1.2], [-0.5, -1.2], [-2.0, 1.0]]),
}
TRAINING, REFERENCE, LAG = 100_000, 500_000, 10
DOUBLE_WELL_SAVED = 25  # steps of its matrix per frame
LEAST = 3  # frames of a visit, or it is removed as a recrossing
REPEATS, REFERENCE_SEED = 2, 2
MODELS = {
    "LSTM": LanguageSettings(epochs=60, patience=10),
    "Markov + LSTM": LanguageSettings(markov=True, epochs=40, patience=8, learning_rate=2e-3),
}
WALKERS = 50
# Lengths of unbiased runs of alanine dipeptide, with frames every 0.1 ps.
PLAIN_PS = {"training": 1000.0, "reference": 4000.0}
CENTRES = np.radians([[-83.0, 73.0], [-155.0, 160.0]])  # C7eq, C5


@numba.njit
def langevin(
    wells: NDArray[np.float64], frames: int, saved: int, step: float, seed: int
) -> NDArray[np.float64]:
    """Return positions (frames, 2) of one walk."""
    np.random.seed(seed)
    found = np.empty((frames, 2))
    damp = np.exp(-FRICTION * step)
    kick = np.sqrt((1 - damp**2) / BETA)
    x, y, vx, vy, fx, fy = wells[0, 0], wells[0, 1], 0.0, 0.0, 0.0, 0.0
    for frame in range(frames):
        for _ in range(saved):
            vx += 0.5 * step * fx
            vy += 0.5 * step * fy
            x += 0.5 * step * vx
            y += 0.5 * step * vy
            vx = damp * vx + kick * np.random.standard_normal()
            vy = damp * vy + kick * np.random.standard_normal()
            x += 0.5 * step * vx
            y += 0.5 * step * vy
            fx, fy = -6e-4 * x**5, -6e-4 * y**5
            for k in range(len(wells)):
                dx, dy = x - wells[k, 0], y - wells[k, 1]
                pull = np.exp(-(dx * dx + dy * dy) / (2 * SIGMA**2)) / SIGMA**2
                fx -= pull * dx
                fy -= pull * dy
            vx += 0.5 * step * fx
            vy += 0.5 * step * fy
        found[frame] = x, y
    return found


def wells(name: str, columns: slice, frames: int, seed: int) -> np.ndarray:
    """Return the states of a walk in one of the model potentials."""
    places = WELLS[name]
    walk = langevin(places, frames, SAVED, STEP, seed)
    return smooth_recrossings(assign_states(walk[:, columns], places[:, columns]), LEAST)


def double_well(frames: int, seed: int) -> np.ndarray:
    """Return coarse states of a walk in deeptime's discrete double well, from its matrix."""
    with np.load(data_folder() / "trajectories/double_well_discrete.npz") as data:
        matrix = data["P"]
    frame = np.linalg.matrix_power(matrix, DOUBLE_WELL_SAVED)
    chain = MarkovModel(frame, 1, np.full(len(matrix), np.nan))
    walk = chain.generate(frames, seed=seed, start=34)
    return np.digitize(walk, [45, 50, 55]).astype(np.int64)


def alanine(folder: Path, part: str, seed: int) -> np.ndarray:
    """Return the states of unbiased dynamics of alanine dipeptide."""
    path = folder / f"plain_{part}_{seed}.npy"
    if not path.exists():
        _, positions, system = alanine_dipeptide()
        atoms = np.array([[4, 6, 8, 14], [6, 8, 14, 16]])
        integrator = openmm.LangevinMiddleIntegrator(300, 1.0, 0.002)
        integrator.setRandomNumberSeed(seed)
        context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
        context.setPositions(positions)
        openmm.LocalEnergyMinimizer.minimize(context)
        context.setVelocitiesToTemperature(300, seed)
        integrator.step(10_000)
        found = []
        for _ in range(round(PLAIN_PS[part] / 0.1)):
            integrator.step(50)
            state = context.getState(positions=True)
            here = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
            found.append([float(dihedral(here, row)) for row in atoms])
        np.save(path, np.array(found))
    angles = np.load(path)
    return smooth_recrossings(assign_states(angles, CENTRES, periods=[2 * np.pi, 2 * np.pi]), LEAST)


Walks = Callable[[], tuple[np.ndarray, np.ndarray]]


def systems(folder: Path) -> Iterator[tuple[str, int, Walks]]:
    """Yield name, repeat, and a function that returns the states of training and reference."""
    both, x = slice(0, 2), slice(0, 1)

    def potential(name: str, columns: slice, frames: int, seed: int) -> Walks:
        return lambda: (
            wells(name, columns, frames, seed),
            wells(name, columns, REFERENCE, REFERENCE_SEED),
        )

    def flipping(seed: int) -> Walks:
        return lambda: (double_well(TRAINING, seed), double_well(REFERENCE, REFERENCE_SEED))

    def dipeptide(seed: int) -> Walks:
        return lambda: (
            alanine(folder, "training", seed),
            alanine(folder, "reference", REFERENCE_SEED),
        )

    for repeat in range(REPEATS):
        seed = 10 + repeat
        for name in WELLS:
            yield name, repeat, potential(name, both, TRAINING, seed)
            yield f"{name}, x alone", repeat, potential(name, x, TRAINING, seed)
        yield "double well", repeat, flipping(seed)
        yield "alanine dipeptide", repeat, dipeptide(seed)
        for frames in (5_000, 20_000):
            name = f"3 states, {frames} frames"
            yield name, repeat, potential("3 states", both, frames, seed)


def deviations(
    reference: Kinetics,
    training: Kinetics,
    populations: np.ndarray,
    times: np.ndarray,
    errors: np.ndarray | float = 0.0,
) -> dict[str, float]:
    """Return deviations of populations (k,) and first-passage times (k, k) from the reference."""
    off = ~np.eye(len(populations), dtype=bool)
    apart = np.abs(times - reference.passage_times)
    sigma = np.sqrt(reference.passage_errors**2 + training.passage_errors**2 + errors**2)
    relative = apart / np.where(off, reference.passage_times, 1.0)
    return {
        "population_mean_absolute_error": float(np.abs(populations - reference.populations).mean()),
        "first_passage_mean_relative_deviation": float(relative[off].mean()),
        "first_passage_within_15_percent_or_2_sigma": float(
            np.mean((relative < 0.15) | (apart < 2 * sigma), where=off)
        ),
    }


def compare(training: np.ndarray, reference: np.ndarray, repeat: int) -> dict:
    """Train both networks and fit the Markov models; return the deviations of each."""
    count = int(reference.max()) + 1
    long, short = kinetics_of([reference], count), kinetics_of([training], count)
    data: dict = {
        "frames": len(training),
        "transitions_in_training": short.transitions,
        "training_population_error": float(short.population_errors.mean()),
        "reference_population_error": float(long.population_errors.mean()),
        "rows": {"training data": deviations(long, short, short.populations, short.passage_times)},
    }
    for lag in (1, LAG):
        model = fit_markov_model([training], count, lag)
        data["rows"][f"Markov, lag {lag}"] = deviations(
            long, short, model.populations, model.passage_times
        )
    for name, settings in MODELS.items():
        trained = train_language_model(
            [training], settings.model_copy(update={"seed": repeat}), n_states=count
        )
        new = trained.generate(len(reference) // WALKERS, walkers=WALKERS, seed=repeat)
        found = kinetics_of(list(new), count, blocks=2)
        data["rows"][name] = deviations(
            *(long, short, found.populations, found.passage_times), found.passage_errors
        )
        card = trained.card
        data["rows"][name] |= {
            "epochs": len(card.validation),
            "cross_entropy": min(card.validation),
        }
        if card.markov is not None:
            # Gain of the network over the Markov model, in nats per frame of the last fifth.
            gain = card.markov - min(card.markov, *card.validation)
            late = training[round(len(training) * (1 - settings.validation)) :]
            moved = int((np.diff(late) != 0).sum())
            data["memory_nats_per_transition"] = gain * len(late) / moved
    return data


def main(folder: Path) -> None:
    """Run the comparisons that are missing, and write all results."""
    folder.mkdir(parents=True, exist_ok=True)
    results: dict = {}
    for name, repeat, walks in systems(folder):
        path = folder / f"{name} {repeat}.json"
        if not path.exists():
            path.write_text(json.dumps(compare(*walks(), repeat)))
        found = json.loads(path.read_text())
        results.setdefault(name, []).append(found)
        print(name, repeat, found["transitions_in_training"], flush=True)
        for row, each in found["rows"].items():
            print(f"    {row:16}", *(f"{value:.3f}" for value in each.values()), flush=True)
        write_results("sampling_language", results)


def table() -> None:
    """Write the tables into the documentation."""
    results = json.loads((RESULTS / "sampling_language.json").read_text())["results"]
    names = [row for row in next(iter(results.values()))[0]["rows"] if row != "training data"]
    for key, title, form in (
        ("population_mean_absolute_error", "populations", "{:.3f}"),
        ("first_passage_mean_relative_deviation", "first passage", "{:.0%}"),
        ("first_passage_within_15_percent_or_2_sigma", "within its error", "{:.0%}"),
    ):
        lines = [
            f"| {title} | training data | " + " | ".join(names) + " |",
            "| --- |" + " --- |" * (len(names) + 1),
        ]
        for name, repeats in results.items():
            cells = []
            for row in ("training data", *names):
                values = np.array([each["rows"][row][key] for each in repeats])
                cells.append(form.format(values.mean()))
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        write_section(PAGE, title, lines)
    lines = ["| system | trainings | transitions in each | memory, nats per transition |"]
    lines.append("| --- | --- | --- | --- |")
    for name, repeats in results.items():
        moved = np.mean([each["transitions_in_training"] for each in repeats])
        gain = [each["memory_nats_per_transition"] for each in repeats]
        lines.append(f"| {name} | {len(repeats)} | {moved:.0f} | {np.mean(gain):.2f} |")
    write_section(PAGE, "memory", lines)


if __name__ == "__main__":
    if "--table" in sys.argv:
        table()
    else:
        main(Path(sys.argv[1]))

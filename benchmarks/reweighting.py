"""Test reweighting on known ensembles, and compare it with switching for methanol in water.

The known ensembles are normal differences and harmonic oscillators of different stiffness, with 30
to 3000 samples. The script counts how often the true error exceeds three reported errors, including
results that `reweight` refuses; the minimum overlaps in nnpmm come from these counts. For methanol,
it compares frames of the force field, alone and together with frames of NNP/MM, with the BAR
estimate from switching in results/mm_to_nnp.json. It prints two tables, and writes
results/reweighting.json and docs/images/reweighting.png.
Usage: python benchmarks/reweighting.py [--repeats 100] [--mm-ps 400] [--nnp-ps 150]
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from unittest import mock

import numpy as np
import openmm
from common import RESULTS, save_image, write_results
from matplotlib.axes import Axes
from mm_to_nnp import KT, TEMPERATURE, TIMESTEP, context_of, interpolated_ligand, ligand_in_water

import nnpmm
from nnpmm.coupling import LAMBDA_NNP, nnp_derivative
from nnpmm.freeenergy import Reweighting, estimators, region_differences, reweight, reweighting
from nnpmm.plots import style

SIZES = (30, 100, 300, 1000, 3000)
SIGMAS = (0.3, 0.6, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)  # kT
STIFFNESSES = (0.2, 0.35, 0.5, 2.0, 4.0, 8.0, 16.0, 32.0)
ESTIMATORS = {1: "one ensemble", 2: "two ensembles"}
LIMITS = ("MIN_ZWANZIG_SAMPLES", "MIN_ZWANZIG_OVERLAP", "MIN_BAR_SAMPLES", "MIN_BAR_OVERLAP")
FRAME_PS = 0.2
XTC_NM = 0.001  # precision of positions in an XTC file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--mm-ps", type=float, default=400.0)
    parser.add_argument("--nnp-ps", type=float, default=150.0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    trials = {sides: known(sides, arguments.repeats) for sides in ESTIMATORS}
    table = {name: summary(trials[sides], sides) for sides, name in ESTIMATORS.items()}
    print(f"{'':<16}{'accepted':>10}{'beyond 3 errors':>18}{'of the refused':>16}")
    for name, row in table.items():
        shares = row["accepted"], row["accepted_beyond_3"], row["refused_beyond_3"]
        print(f"{name:<16}{shares[0]:10.1%}{shares[1]:18.1%}{shares[2]:16.1%}", flush=True)
    found, series = methanol(arguments.mm_ps, arguments.nnp_ps)
    stored = json.loads((RESULTS / "mm_to_nnp.json").read_text())["results"]
    reference = stored["estimates_kj_mol"]["BAR on works"]
    print(f"{'switching, BAR':<16}{reference['value']:10.2f} ± {reference['error']:.2f} kJ/mol")
    for name in ESTIMATORS.values():
        value, error = found[name]["difference"], found[name]["error"]
        apart = abs(value - reference["value"]) / np.hypot(error, reference["error"])
        found[name]["standard_errors_apart"] = apart
        print(
            f"{name:<16}{value:10.2f} ± {error:.2f} kJ/mol, difference {apart:.2f} standard errors"
        )
    noise = found["xtc_noise_kj_mol"]
    print(
        f"{found['batched_ms_per_frame']:.2f} ms per frame, one by one "
        f"{found['one_by_one_ms_per_frame']:.2f} ms; positions rounded as in XTC shift d by "
        f"{noise['mean']:.2f} ± {noise['rms']:.2f} kJ/mol"
    )
    results = {"settings": vars(arguments), "known_ensembles": table, "methanol": found}
    print(write_results("reweighting", results))
    plot(trials, series, found, reference["value"])


def known(sides: int, repeats: int) -> np.ndarray:
    """Return effective samples, overlap, and error over reported error of each trial, (k, 3)."""
    rng = np.random.default_rng(sides)
    trials = []
    test = "require_effective_samples"
    # The checks are disabled, so that refused results are counted, too.
    with mock.patch.object(reweighting, test), mock.patch.object(estimators, test):
        for _ in range(repeats):
            for samples, exact in ensembles(rng):
                found = reweight(*samples[:sides], temperature=TEMPERATURE)
                off = abs(found.difference - exact) / max(found.error, 1e-9)
                trials.append((found.effective_samples, found.overlap, off))
    return np.array(trials)


def ensembles(rng: np.random.Generator) -> Iterator[tuple[list[np.ndarray], float]]:
    """Yield samples of d from both ensembles, and the free-energy difference, kJ/mol."""
    for size in SIZES:
        for sigma in SIGMAS:
            means = 0.5 * sigma**2, -0.5 * sigma**2
            yield [KT * rng.normal(mean, sigma, size) for mean in means], 0.0
        for stiffness in STIFFNESSES:
            squares = [
                (rng.normal(0.0, width, (size, 3)) ** 2).sum(axis=1)
                for width in (1.0, stiffness**-0.5)
            ]
            yield [0.5 * (stiffness - 1) * KT * x for x in squares], 1.5 * KT * np.log(stiffness)


def summary(trials: np.ndarray, sides: int) -> dict[str, float]:
    """Return fractions of accepted trials, and of trials off by more than three errors."""
    samples, overlap = (getattr(reweighting, name) for name in LIMITS[2 * sides - 2 : 2 * sides])
    accepted = (trials[:, 0] >= samples) & (trials[:, 1] >= overlap)
    beyond = trials[:, 2] > 3
    return {
        "trials": len(trials),
        "accepted": float(accepted.mean()),
        "accepted_beyond_3": float(beyond[accepted].mean()),
        "refused_beyond_3": float(beyond[~accepted].mean()),
    }


def methanol(mm_ps: float, nnp_ps: float) -> tuple[dict, list[np.ndarray]]:
    """Return estimates and costs, and the differences in both ensembles in kJ/mol."""
    box, model = ligand_in_water("CO"), nnpmm.load_model("ANI-2x", members=0)
    hybrid, start = interpolated_ligand(box)
    vectors = np.array(box.box_vectors, dtype=float)
    setup = box.system, box.topology, np.array(box.ligand_atoms), model
    series: list[np.ndarray] = []
    found: dict[str, Any] = {}
    for system, length, seed in ((box.system, mm_ps, 21), (hybrid, nnp_ps, 22)):
        frames = sample(system, start, length, seed)
        boxes = np.broadcast_to(vectors, (len(frames), 3, 3))
        began = time.perf_counter()
        series.append(region_differences(*setup, positions=frames, boxes=boxes))
        found["batched_ms_per_frame"] = 1e3 * (time.perf_counter() - began) / len(frames)
        print(f"{len(frames)} frames", flush=True)
    found["frames"] = [len(each) for each in series]
    found["one_by_one_ms_per_frame"] = one_by_one(hybrid, frames[:200])
    rounded = np.round(frames / XTC_NM) * XTC_NM
    noise = region_differences(*setup, positions=rounded, boxes=boxes) - series[-1]
    found["xtc_noise_kj_mol"] = {"mean": float(noise.mean()), "rms": float(noise.std())}
    for sides, name in ESTIMATORS.items():
        result: Reweighting = reweight(*series[:sides], temperature=TEMPERATURE)
        found[name] = asdict(result)
    return found, series


def sample(system: openmm.System, start: openmm.State, length: float, seed: int) -> np.ndarray:
    """Return frames of an equilibrium run after 10 ps, (k, n, 3), nm."""
    context = context_of(system, seed)
    context.setPeriodicBoxVectors(*start.getPeriodicBoxVectors())
    context.setPositions(start.getPositions())
    context.setVelocities(start.getVelocities())
    steps = round(FRAME_PS / TIMESTEP)
    context.getIntegrator().step(50 * steps)
    frames = []
    for _ in range(round(length / FRAME_PS)):
        context.getIntegrator().step(steps)
        frames.append(context.getState(positions=True).getPositions(asNumpy=True)._value)
    return np.array(frames)


def one_by_one(hybrid: openmm.System, frames: np.ndarray) -> float:
    """Return the milliseconds per frame when a context evaluates them one by one."""
    context = context_of(hybrid, 1)
    context.setParameter(LAMBDA_NNP, 0.0)
    began = time.perf_counter()
    for frame in frames:
        context.setPositions(frame)
        nnp_derivative(context)
    return 1e3 * (time.perf_counter() - began) / len(frames)


def plot(trials: dict, series: list[np.ndarray], found: dict, reference: float) -> None:
    """Draw both distributions of d for methanol, and how often an error is too small."""
    figure, (left, right) = style.create_panels(1, 2, width=8.5, height=3.2)
    bins = np.histogram_bin_edges(np.concatenate(series), 40).tolist()
    for each, label in zip(series, ("MM", "NNP/MM"), strict=True):
        left.hist(each, bins, density=True, alpha=0.6, label=f"frames of {label}")
    left.axvline(reference, color=style.BLACK, lw=1, label=f"switching: {reference:.2f}")
    best = found[ESTIMATORS[2]]
    label = f"reweighting: {best['difference']:.2f} $\\pm$ {best['error']:.2f}"
    left.axvline(best["difference"], color=style.GREEN, lw=1, ls="--", label=label)
    style.dress(left, xlabel=r"$V_\mathrm{NNP} - V_\mathrm{MM}$ / (kJ/mol)", ylabel="density")
    left.set_ylim(top=1.5 * left.get_ylim()[1])
    style.legend(left)
    draw_trials(right, trials)
    save_image(figure, "reweighting")


def draw_trials(axes: Axes, trials: dict) -> None:
    """Draw the fraction of trials off by more than three errors against effective samples."""
    edges = np.geomspace(3, 3000, 11)
    enough = trials[1][:, 1] >= reweighting.MIN_ZWANZIG_OVERLAP
    curves = {
        "one ensemble, overlap below 0.1": (trials[1][~enough], style.BLUE, ":"),
        "one ensemble, 0.1 and more": (trials[1][enough], style.BLUE, "-"),
        "two ensembles": (trials[2], style.RED, "-"),
    }
    for label, (rows, color, dashes) in curves.items():
        place = np.digitize(rows[:, 0], edges)
        points = [
            (np.sqrt(edges[i - 1] * edges[i]), 100 * (rows[place == i, 2] > 3).mean())
            for i in range(1, len(edges))
            if (place == i).sum() >= 50
        ]
        axes.plot(*zip(*points, strict=True), dashes, color=color, marker="o", ms=3, label=label)
    axes.axvline(reweighting.MIN_ZWANZIG_SAMPLES, color=style.BLUE, lw=0.8, alpha=0.5)
    axes.axvline(reweighting.MIN_BAR_SAMPLES, color=style.RED, lw=0.8, alpha=0.5)
    axes.set_xscale("log")
    style.dress(axes, xlabel="effective samples", ylabel="off by more than 3 errors / %")
    style.legend(axes)


if __name__ == "__main__":
    main()

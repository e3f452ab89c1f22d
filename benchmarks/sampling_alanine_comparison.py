"""Compare the runs of sampling_alanine.py, and write their tables.

    python benchmarks/sampling_alanine_comparison.py --folder alanine  # results and pictures
    python benchmarks/sampling_alanine_comparison.py --folder alanine-network --potential network
    python benchmarks/sampling_alanine_comparison.py --table  # only the tables in docs

The surfaces are along phi and psi in bins of 10 degrees, up to 20 kJ/mol. The first fifth of each
biased run is discarded.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, ROOT, save_image, write_results, write_section
from numpy.typing import ArrayLike
from sampling_alanine import BIASES, POTENTIALS, path_of, samples_of

from nnpmm.freeenergy.surfaces import (
    Surface,
    WeightedSamples,
    difference_below,
    find_basins,
    pooled,
    surface_of,
)
from nnpmm.plots import plot_surface

PAGE = ROOT / "docs" / "validation" / "sampling.md"
STORED = Path(__file__).parent / "data"  # surfaces
BINS = 36  # along phi and psi
DISCARDED = 0.2  # of each biased run
# Highest free energy that is compared, kJ/mol; a surface counts as converged within NEAR, kJ/mol,
# of the reference and with this fraction of its bins visited.
LIMIT, NEAR, VISITED = 20.0, 2.0, 0.95


def settled(bias: str, run: WeightedSamples) -> WeightedSamples:
    """Return the samples of a run without the discarded part."""
    return run if bias == "plain" else run.after(DISCARDED)


def surface_along(parts: Sequence[WeightedSamples]) -> Surface:
    """Return the surface of pooled runs along phi and psi."""
    return surface_of(pooled(parts), ["phi", "psi"], bins=BINS)


def results(folder: Path, potential: str) -> None:
    """Compare the runs of a folder, and write their results."""
    runs: dict[str, list[WeightedSamples]] = {}
    for bias, seed in itertools.product(BIASES, range(1, 100)):
        path = path_of(folder, bias, seed)
        if path.exists():
            runs.setdefault(bias, []).append(samples_of(path))
    kept = {
        b: [r if b == "plain" else r.after(DISCARDED) for r in each] for b, each in runs.items()
    }
    known = kept["phi, psi"]
    reference = surface_along(known)
    learned = [bias for bias in ("autoencoder", "time-lagged") if bias in kept]
    data: dict[str, Any] = {
        "ns": {bias: [float(run.times.max() / 1000) for run in runs[bias]] for bias in runs},
        "minima": minima_of(kept, reference),
        "pairs_kj_mol": pairs(kept, learned),
        "differences": {b: difference(kept[b], known) for b in learned if len(kept[b]) > 1},
        "convergence": {bias: convergence(bias, runs[bias], known) for bias in runs},
    }
    name = name_of(potential)
    if potential == "network":
        with np.load(STORED / f"{name_of('force field')}.npz") as stored:
            data["difference_from_force_field_kj_mol"] = difference_below(
                reference.free_energy, stored["free_energy"]
            )
    write_results(name, data)
    np.savez(STORED / f"{name}.npz", free_energy=reference.free_energy, error=reference.error)
    pictured = {name: reference, f"{name}_autoencoder": surface_along(kept["autoencoder"])}
    for title, surface in pictured.items():
        phi, psi = (np.degrees(c) for c in surface.bins.centres)
        figure = plot_surface(phi, psi, surface.free_energy, xlabel="phi / degrees",
                              ylabel="psi / degrees")  # fmt: skip
        save_image(figure, title)


def name_of(potential: str) -> str:
    """Return the name of the results of a potential."""
    return f"sampling_alanine_{potential.replace(' ', '_')}"


def minima_of(kept: dict[str, list[WeightedSamples]], reference: Surface) -> list[dict]:
    """Return the basins of the reference with their populations in the runs of each bias."""
    basins = find_basins(reference)
    shares = {}
    for bias, parts in kept.items():
        rows = []
        for part in parts:
            cells = reference.bins.cells(part)
            rows.append(np.bincount(basins.labels.ravel()[cells] + 1, part.weights(),
                                    minlength=len(basins.minima) + 1)[1:])  # fmt: skip
        shares[bias] = np.array(rows)
    return [
        {
            "phi_degrees": float(np.degrees(reference.bins.centres[0][index[0]])),
            "psi_degrees": float(np.degrees(reference.bins.centres[1][index[1]])),
            "free_energy_kj_mol": float(reference.free_energy[index]),
            "populations": {bias: mean_of(rows[:, k]) for bias, rows in shares.items()},
        }
        for k, index in enumerate(basins.minima)
    ]


def mean_of(values: ArrayLike) -> dict[str, float | int | None]:
    """Return mean, standard error and number of independent values."""
    each = np.asarray(values, dtype=np.float64)
    error = float(each.std(ddof=1) / len(each) ** 0.5) if len(each) > 1 else None
    return {"mean": float(each.mean()), "error": error, "count": len(each)}


def pairs(kept: dict[str, list[WeightedSamples]], learned: Sequence[str]) -> dict[str, list[float]]:
    """Return RMS differences of the surfaces of single runs, two at a time, kJ/mol."""
    single = {b: [surface_along([p]).free_energy for p in kept[b]] for b in ("phi, psi", *learned)}
    found = {
        f"{bias} and {bias}": [difference_below(b, a) for a, b in itertools.combinations(each, 2)]
        for bias, each in single.items()
    }
    for bias in learned:
        both = itertools.product(single["phi, psi"], single[bias])
        found[f"phi, psi and {bias}"] = [difference_below(b, a) for a, b in both]
    return found


def difference(found: list[WeightedSamples], known: list[WeightedSamples]) -> dict[str, float]:
    """Return the RMS difference of the surfaces of all runs, measured and expected from errors.

    Args:
        found: two or more runs.
        known: two or more runs, the reference.

    Returns:
        In kJ/mol: the difference; its jackknife error, leaving out one run at a time; and the
        difference expected for equal surfaces with the standard errors of these two.
    """
    ours, theirs = surface_along(found), surface_along(known)
    left_out = (
        [(without(found, k), known) for k in range(len(found))],
        [(found, without(known, k)) for k in range(len(known))],
    )
    spread = 0.0
    for side in left_out:
        each = [
            difference_below(surface_along(ours).free_energy, surface_along(theirs).free_energy)
            for ours, theirs in side
        ]
        spread += (len(side) - 1) * float(np.var(each))
    variance = ours.error**2 + theirs.error**2
    compared = (theirs.free_energy <= LIMIT) & np.isfinite(variance)
    return {
        "rms_kj_mol": difference_below(ours.free_energy, theirs.free_energy),
        "error_kj_mol": spread**0.5,
        "expected_of_errors_kj_mol": float(np.sqrt(variance[compared].mean())),
    }


def without(parts: list[WeightedSamples], index: int) -> list[WeightedSamples]:
    """Return the parts without one of them."""
    return [*parts[:index], *parts[index + 1 :]]


def convergence(
    bias: str, runs: list[WeightedSamples], known: list[WeightedSamples]
) -> dict[str, list]:
    """Return the convergence of each run's surface along phi and psi to that of the known runs.

    Returns:
        Times, ps. For each run: the RMS differences below 20 kJ/mol; the fractions of these bins
        that the run has visited; and the time after which the difference stays below 2 kJ/mol with
        95 % of the bins visited, or None.
    """
    rows: dict[str, list] = {"times_ps": [], "rms_kj_mol": [], "visited": [], "reached_ps": []}
    for number, run in enumerate(runs):
        times = np.geomspace(100, run.times.max(), 25)
        others = without(known, number) if bias == "phi, psi" else known
        reference = surface_along(others).free_energy
        below = reference <= LIMIT
        differences, visited = [], []
        for time in times:
            part = settled(bias, run.chosen(run.times <= time + 1e-6))
            free_energy = surface_along([part]).free_energy
            differences.append(difference_below(free_energy, reference))
            visited.append(float(np.isfinite(free_energy[below]).mean()))
        failing = (np.array(differences) > NEAR) | (np.array(visited) < VISITED)
        later = np.flatnonzero(failing)
        start = 0 if len(later) == 0 else later[-1] + 1
        rows["times_ps"].append(times.tolist())
        rows["rms_kj_mol"].append(differences)
        rows["visited"].append(visited)
        rows["reached_ps"].append(float(times[start]) if start < len(times) else None)
    return rows


def table(potential: str) -> None:
    """Write the tables of a potential into the documentation."""
    found = json.loads((RESULTS / f"{name_of(potential)}.json").read_text())["results"]
    names = {bias: bias.replace("phi, psi", "φ, ψ") for bias in found["ns"]}
    lines = [
        "| φ, ψ / degrees | kJ/mol | " + " | ".join(names.values()) + " |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    for each in found["minima"]:
        shares = " | ".join(with_error(each["populations"][bias]) for bias in names)
        lines.append(f"| {each['phi_degrees']:.0f}, {each['psi_degrees']:.0f} | "
                     f"{each['free_energy_kj_mol']:.1f} | {shares} |")  # fmt: skip
    write_section(PAGE, f"{potential} populations", lines)
    lines = ["| surfaces of | RMS difference / (kJ/mol) |", "| --- | --- |"]
    for name, values in found["pairs_kj_mol"].items():
        if values:
            shown = f"{np.mean(values):.1f}"
            if len(values) > 1:
                shown += f" ({min(values):.1f} to {max(values):.1f})"
            first, second = (names[part] for part in name.split(" and "))
            lines.append(f"| single runs, {first} and {second} | {shown} |")
    for bias, each in found["differences"].items():
        lines.append(
            f"| all runs, φ, ψ and {bias} | **{each['rms_kj_mol']:.2f} ± {each['error_kj_mol']:.2f}"
            f"**; expected from their errors: {each['expected_of_errors_kj_mol']:.1f} |"
        )
    write_section(PAGE, f"{potential} differences", lines)
    lines = [
        "| bias | runs | within 2 kJ/mol after | at the end: RMS / (kJ/mol) | bins visited |",
        "| --- | --- | --- | --- | --- |",
    ]
    for bias, each in found["convergence"].items():
        last = [row[-1] for row in each["rms_kj_mol"]]
        seen = [row[-1] for row in each["visited"]]
        lengths = found["ns"][bias]
        reached = ", ".join(
            f"not in {length:g} ns" if time is None else f"{time / 1000:.1f} of {length:g} ns"
            for time, length in zip(each["reached_ps"], lengths, strict=True)
        )
        lines.append(f"| {names[bias]} | {len(last)} | {reached} | "
                     f"{', '.join(f'{v:.1f}' for v in last)} | "
                     f"{', '.join(f'{v:.0%}' for v in seen)} |")  # fmt: skip
    write_section(PAGE, f"{potential} convergence", lines)


def with_error(share: dict[str, float]) -> str:
    """Return a population with its error."""
    if not share["error"]:
        return f"{share['mean']:.3f}"
    digits = min(4, max(1, -math.floor(math.log10(share["error"]))))
    return f"{share['mean']:.{digits}f} ± {share['error']:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("alanine"), help="folder of the runs")
    parser.add_argument("--potential", choices=POTENTIALS, default=POTENTIALS[0])
    parser.add_argument("--table", action="store_true", help="only write the tables")
    options = parser.parse_args()
    if not options.table:
        results(options.folder, options.potential)
    table(options.potential)


if __name__ == "__main__":
    main()

"""Alanine dipeptide with Amber's ff14SB: metadynamics along known and along learned variables.

    python benchmarks/sampling_alanine_force_field.py --folder alanine  # goes on where it stopped
    python benchmarks/sampling_alanine_force_field.py --results --folder alanine  # of what is there
    python benchmarks/sampling_alanine_force_field.py --table  # into docs, from the results

Variables are learned from a plain run at 600 K, which knows nothing of phi and psi. Each kind of
bias is repeated with other seeds. Samples are reweighted to the ensemble without bias, and compared
along phi and psi. The first fifth of each biased run does not count.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openmm
from common import RESULTS, save_image, write_results, write_section
from numpy.typing import ArrayLike
from openmm import app, unit
from sampling_alanine import (
    BINS,
    FACTOR,
    LEARNED_WIDTH,
    PAGE,
    TEMPERATURE,
    VARIABLES,
    WIDTH,
    alanine_dipeptide,
    learned_range,
)

from nnpmm.freeenergy.estimators import thermal_energy
from nnpmm.freeenergy.surfaces import (
    Axis,
    Surface,
    WeightedSamples,
    difference_below,
    find_basins,
    metadynamics_offsets,
    pooled,
    surface_of,
)
from nnpmm.plots import plot_surface
from nnpmm.sampling import WellTempered, grid_of
from nnpmm.sampling.grids import BiasGrid
from nnpmm.sampling.learned import LearningSettings, choose_features, learn, save_projection
from nnpmm.sampling.variables import LearnedVariable, Structure, bind_variables

STEP, HYDROGEN_MASS = 0.004, 3.0  # ps, amu
SAMPLED, DEPOSITED = 50, 500  # steps
HEIGHT = 2.5  # kJ/mol
LENGTH = {"phi, psi": 5.0, "autoencoder": 5.0, "time-lagged": 5.0, "plain": 20.0}  # ns of a run
TRAINING_TEMPERATURE, TRAINING_NS, TRAINING_EVERY = 600.0, 5.0, 250  # K, ns, steps
LAG = 2  # frames of the training
DISCARDED = 0.2  # of each biased run
# kJ/mol: bins up to here are compared, and surfaces so near are the same; share of bins.
LIMIT, NEAR, VISITED = 20.0, 2.0, 0.95


class Molecule:
    """The molecule in vacuum on the Reference platform, the fastest for 22 atoms on one thread.

    Attributes:
        structure: that variables are bound to.
        system: to which a bias may be added before `start`.
    """

    def __init__(self) -> None:
        self.topology, self._positions, self.system = alanine_dipeptide(HYDROGEN_MASS)
        self.structure = Structure.of(self.topology, self._positions, self.system)

    def start(self, temperature: float, seed: int) -> app.Simulation:
        """Return a simulation, minimised and equilibrated for 10 ps."""
        integrator = openmm.LangevinMiddleIntegrator(temperature, 1.0, STEP)
        integrator.setRandomNumberSeed(seed)
        platform = openmm.Platform.getPlatformByName("Reference")
        simulation = app.Simulation(self.topology, self.system, integrator, platform)
        simulation.context.setPositions(self._positions)
        simulation.minimizeEnergy()
        simulation.context.setVelocitiesToTemperature(temperature, seed)
        integrator.step(2500)
        return simulation


def positions_of(simulation: app.Simulation) -> np.ndarray:
    """Return positions (22, 3), nm."""
    state = simulation.context.getState(positions=True)
    return state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)


def learn_variables(folder: Path, kind: str) -> Path:
    """Return the file of two variables learned from the run at 600 K, made where it is missing."""
    path = folder / f"{kind}.json"
    if path.exists():
        return path
    frames = folder / "training.npy"
    molecule = Molecule()
    if not frames.exists():
        simulation = molecule.start(TRAINING_TEMPERATURE, seed=1)
        found = []
        for _ in range(round(TRAINING_NS * 1000 / STEP / TRAINING_EVERY)):
            simulation.integrator.step(TRAINING_EVERY)
            found.append(positions_of(simulation))
        np.save(frames, np.array(found))
    features = choose_features(molecule.structure, np.arange(len(molecule.structure.masses)))
    settings = LearningSettings(kind=kind, variables=2, lag=LAG)
    run = np.load(frames)[:, list(features.atoms)]
    save_projection(path, learn(features, [run], molecule.structure, settings).projection)
    return path


def grids_of(bias: str, cv: Path | None, structure: Structure) -> list[BiasGrid]:
    """Return the grids of what is biased; none for a plain run."""
    if bias == "plain":
        return []
    if cv is None:
        known = bind_variables(VARIABLES, structure)
        return [grid_of(v, WIDTH, None, temperature=TEMPERATURE) for v in known.values()]
    low, high = learned_range(cv)
    names = {f"cv{k}": LearnedVariable(file=cv, component=k + 1) for k in range(2)}
    return [
        grid_of(variable, LEARNED_WIDTH, (low[k] - 0.5, high[k] + 0.5), temperature=TEMPERATURE)
        for k, variable in enumerate(bind_variables(names, structure).values())
    ]


def sample(bias: str, cv: Path | None, seed: int) -> dict[str, np.ndarray]:
    """Return phi and psi (n, 2), times (n,) in ps, and the logarithms of weights (n,) of a run.

    The weights take off the whole bias, walls included.

    Args:
        bias: along what.
        cv: file of the learned variables, if these are biased.
        seed: of the run.
    """
    molecule = Molecule()
    grids = grids_of(bias, cv, molecule.structure)
    known = bind_variables(VARIABLES, molecule.structure)
    metadynamics, group = None, 0
    if grids:
        metadynamics = WellTempered(
            molecule.system, grids, temperature=TEMPERATURE, bias_factor=FACTOR, height=HEIGHT
        )
        forces = molecule.system.getForces()
        group = next(f.getForceGroup() for f in forces if f.getName() == "metadynamics")
    simulation = molecule.start(TEMPERATURE, seed)
    per_gaussian = DEPOSITED // SAMPLED
    values, biases, gaussians = [], [], []
    for number in range(round(LENGTH[bias] * 1000 / STEP / SAMPLED)):
        simulation.integrator.step(SAMPLED)
        here = positions_of(simulation)
        values.append([variable.evaluate(here, None) for variable in known.values()])
        if metadynamics is None:
            continue
        state = simulation.context.getState(energy=True, groups={group})
        biases.append(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))
        if (number + 1) % per_gaussian == 0:
            gaussians.append(metadynamics.deposit(simulation.context))
    logs = np.zeros(len(values))
    if metadynamics is not None:
        offsets = metadynamics_offsets(
            grids,
            np.array([gaussian.values for gaussian in gaussians]),
            [gaussian.height for gaussian in gaussians],
            temperature=TEMPERATURE,
            bias_factor=FACTOR,
        )
        logs = (np.array(biases) - np.repeat(offsets, per_gaussian)) / thermal_energy(TEMPERATURE)
    times = np.arange(1, len(values) + 1) * SAMPLED * STEP
    return {"values": np.array(values), "times": times, "logs": logs}


def run_of(folder: Path, bias: str, seed: int, *, make: bool) -> WeightedSamples | None:
    """Return the samples of a run from its file, sampled where it is missing and wanted."""
    path = folder / f"{bias.replace(', ', '_')}_{seed}.npz"
    if not path.exists():
        if not make:
            return None
        cv = learn_variables(folder, bias) if bias in ("autoencoder", "time-lagged") else None
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **sample(bias, cv, seed))
        partial.rename(path)
    with np.load(path) as stored:
        values, times, logs = stored["values"], stored["times"], stored["logs"]
    axes = tuple(Axis(n, "rad", 2 * np.pi, (-np.pi, np.pi)) for n in VARIABLES)
    runs = np.zeros(len(times), dtype=np.int64)
    return WeightedSamples(axes, values, times, runs, TEMPERATURE, lambda mask: logs[mask])


def settled(bias: str, run: WeightedSamples) -> WeightedSamples:
    """Return the samples of a run that count."""
    return run if bias == "plain" else run.after(DISCARDED)


def surface_along(parts: Sequence[WeightedSamples]) -> Surface:
    """Return the surface of runs along phi and psi."""
    return surface_of(pooled(parts), ["phi", "psi"], bins=BINS)


def results(folder: Path) -> None:
    """Compare the runs that are there, and write what they gave."""
    runs: dict[str, list[WeightedSamples]] = {}
    for bias, seed in itertools.product(LENGTH, range(1, 100)):
        found = run_of(folder, bias, seed, make=False)
        if found is not None:
            runs.setdefault(bias, []).append(found)
    kept = {
        b: [r if b == "plain" else r.after(DISCARDED) for r in each] for b, each in runs.items()
    }
    known = kept["phi, psi"]
    reference = surface_along(known)
    learned = [bias for bias in ("autoencoder", "time-lagged") if bias in kept]
    data = {
        "runs": {bias: len(each) for bias, each in runs.items()},
        "ns_per_run": {bias: float(each[0].times.max() / 1000) for bias, each in runs.items()},
        "minima": minima_of(kept, reference),
        "pairs_kj_mol": pairs(kept, learned),
        "differences": {bias: difference(kept[bias], known) for bias in learned},
        "convergence": {bias: convergence(bias, runs[bias], known) for bias in runs},
    }
    write_results("sampling_alanine_force_field", data)
    np.savez(Path(__file__).parent / "data/sampling_alanine_force_field.npz",
             free_energy=reference.free_energy, error=reference.error)  # fmt: skip
    pictured = {"force_field": reference} | {
        f"force_field_{bias}": surface_along(kept[bias]) for bias in learned
    }
    for name, surface in pictured.items():
        degrees = [np.degrees(c) for c in surface.bins.centres]
        figure = plot_surface(*degrees, surface.free_energy, xlabel="phi / degrees",
                              ylabel="psi / degrees")  # fmt: skip
        save_image(figure, f"sampling_alanine_{name}")


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
    """Return the RMS difference of the surfaces of all runs, and what their errors account for.

    Returns:
        In kJ/mol: the difference; its jackknife error, leaving out one run at a time; and the
        difference expected of equal surfaces with the standard errors of these two.
    """
    ours, theirs = surface_along(found), surface_along(known)
    left_out = [
        difference_below(surface_along(a).free_energy, surface_along(b).free_energy)
        for a, b in (
            *((without(found, k), known) for k in range(len(found)) if len(found) > 1),
            *((found, without(known, k)) for k in range(len(known)) if len(known) > 1),
        )
    ]
    spread = np.array(left_out) - np.mean(left_out)
    variance = ours.error**2 + theirs.error**2
    compared = (theirs.free_energy <= LIMIT) & np.isfinite(variance)
    return {
        "rms_kj_mol": difference_below(ours.free_energy, theirs.free_energy),
        "error_kj_mol": float(np.sqrt((spread**2).sum() / 2)),
        "expected_of_errors_kj_mol": float(np.sqrt(variance[compared].mean())),
    }


def without(parts: list[WeightedSamples], index: int) -> list[WeightedSamples]:
    """Return the parts without one of them."""
    return [*parts[:index], *parts[index + 1 :]]


def convergence(
    bias: str, runs: list[WeightedSamples], known: list[WeightedSamples]
) -> dict[str, list]:
    """Return how the surface of each run approaches that of the other runs along phi and psi.

    Returns:
        Times, ps; for each run the RMS differences below 20 kJ/mol, the shares of these bins that
        it has visited, and the time from which on the difference stays below 2 kJ/mol with 95 % of
        the bins visited, or None.
    """
    times = np.geomspace(100, runs[0].times.max(), 25)
    rows: dict[str, list] = {"times_ps": times.tolist(), "rms_kj_mol": [], "visited": [],
                             "reached_ps": []}  # fmt: skip
    for number, run in enumerate(runs):
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
        rows["rms_kj_mol"].append(differences)
        rows["visited"].append(visited)
        rows["reached_ps"].append(float(times[start]) if start < len(times) else None)
    return rows


def table() -> None:
    """Write the tables into the documentation."""
    found = json.loads((RESULTS / "sampling_alanine_force_field.json").read_text())["results"]
    names = {bias: bias.replace("phi, psi", "φ, ψ") for bias in found["runs"]}
    lines = [
        "| φ, ψ / degrees | kJ/mol | " + " | ".join(names.values()) + " |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    for each in found["minima"]:
        shares = " | ".join(with_error(each["populations"][bias]) for bias in names)
        lines.append(f"| {each['phi_degrees']:.0f}, {each['psi_degrees']:.0f} | "
                     f"{each['free_energy_kj_mol']:.1f} | {shares} |")  # fmt: skip
    write_section(PAGE, "force-field populations", lines)
    lines = ["| surfaces of | RMS difference / (kJ/mol) |", "| --- | --- |"]
    for name, values in found["pairs_kj_mol"].items():
        if values:
            shown = f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"
            first, second = (names[part] for part in name.split(" and "))
            lines.append(f"| single runs, {first} and {second} | {shown} |")
    for bias, each in found["differences"].items():
        lines.append(
            f"| all runs, φ, ψ and {bias} | **{each['rms_kj_mol']:.1f} ± {each['error_kj_mol']:.1f}"
            f"**; their errors account for {each['expected_of_errors_kj_mol']:.1f} |"
        )
    write_section(PAGE, "force-field differences", lines)
    lines = [
        "| bias | runs | within 2 kJ/mol after | at the end: RMS / (kJ/mol) | bins visited |",
        "| --- | --- | --- | --- | --- |",
    ]
    for bias, each in found["convergence"].items():
        last = [row[-1] for row in each["rms_kj_mol"]]
        seen = [row[-1] for row in each["visited"]]
        length = found["ns_per_run"][bias]
        reached = ", ".join(
            f"not in {length:.0f} ns" if time is None else f"{time / 1000:.1f} ns"
            for time in each["reached_ps"]
        )
        lines.append(f"| {names[bias]} | {len(last)} of {length:.0f} ns | {reached} | "
                     f"{', '.join(f'{v:.1f}' for v in last)} | "
                     f"{', '.join(f'{v:.0%}' for v in seen)} |")  # fmt: skip
    write_section(PAGE, "force-field convergence", lines)


def with_error(share: dict[str, float]) -> str:
    """Return a population with its error."""
    if not share["error"]:
        return f"{share['mean']:.4f}"
    digits = min(6, max(1, -math.floor(math.log10(share["error"]))))
    return f"{share['mean']:.{digits}f} ± {share['error']:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("alanine"), help="of the runs")
    parser.add_argument("--repeats", type=int, default=2, help="runs with each kind of bias")
    parser.add_argument("--results", action="store_true", help="write results, sample nothing")
    parser.add_argument("--table", action="store_true", help="write the tables, sample nothing")
    parser.add_argument("--bias", action="append", choices=tuple(LENGTH), help="what is sampled")
    options = parser.parse_args()
    if options.table or options.results:
        table() if options.table else results(options.folder)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    for seed, bias in itertools.product(range(1, options.repeats + 1), options.bias or LENGTH):
        run_of(options.folder, bias, seed, make=True)
        print(bias, seed, flush=True)


if __name__ == "__main__":
    main()

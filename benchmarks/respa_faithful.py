"""Test which time steps are accurate: averages of benzene in water against small single steps.

The runs use all eight networks of ANI-2x at 300 K, in several independent replicas. Settings with
free bonds to hydrogen are compared with single steps of 0.25 fs. Settings that keep these bonds
constrained are compared with single steps of 0.5 fs and the same constraints, because constraints
change averages while time steps should not. Differences are given in standard errors, which come
from the scatter of replicas, pooled over settings. respa.py explains the settings. The script
writes every replica as soon as it is complete, and continues an interrupted run. It prints a table,
and writes results/respa_faithful.json and docs/images/respa-faithful.png.
Usage: python benchmarks/respa_faithful.py [--replicas 4] [--ps 12] [--scratch respa-replicas]
    [--only kept]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from common import save_image, write_results
from respa_settings import (
    FEMTOSECOND,
    SETTINGS,
    Box,
    Networks,
    Setting,
    benzene_box,
    create_context,
)

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.plots import style

REFERENCES = {"0.25": Setting((0.25,)), "0.5 kept": Setting((0.5,), kept=True)}
TESTED = {**REFERENCES, **{n: s for n, s in SETTINGS.items() if n != "Verlet 0.2"}}
EQUILIBRATION = 3.0  # ps
INTERVAL = 0.03  # ps between frames, approximately
UNITS = {
    "temperature of water": "K",
    "temperature of benzene": "K",
    "network energy": "kJ/mol",
    "its spread": "kJ/mol",
    "C-C length": "pm",
    "its spread ": "pm",
    "C-C-C angle spread": "deg",
    "C-C-C-C torsion spread": "deg",
    "diffusion of water": "1e-5 cm2/s",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--ps", type=float, default=12.0)
    parser.add_argument("--scratch", type=Path, default=Path("respa-replicas"))
    parser.add_argument(
        "--only", choices=("free", "kept"), help="run only these; report all finished ones"
    )
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    box = benzene_box(padding=0.6, cutoff=0.7)
    networks = Networks(box)
    found: dict[str, list[list[float] | None]] = {name: [] for name in TESTED}
    for replica in range(arguments.replicas):
        for name, setting in TESTED.items():
            wanted = arguments.only in (None, "kept" if setting.kept else "free")
            path = arguments.scratch / f"{name.replace('/', '_').replace(' ', '_')}-{replica}.json"
            if wanted and not path.exists():
                begin = time.monotonic()
                row = run(box, networks, setting, arguments.ps, seed=replica + 1)
                path.write_text(json.dumps(row))
                print(
                    f"{name:26s}{replica:3d} {time.monotonic() - begin:7.0f} s  {row}", flush=True
                )
            if path.exists():
                found[name].append(json.loads(path.read_text()))
    table = compare(found)
    report(table)
    settings = {"atoms": box.topology.getNumAtoms(), "ps": arguments.ps, "units": UNITS}
    print(write_results("respa_faithful", {**settings, "rows": table}))
    plot(table)


def run(
    box: Box, networks: Networks, setting: Setting, length: float, seed: int
) -> list[float] | None:
    """Return the averages of a replica in the order of UNITS, or None if it blew up."""
    context = create_context(box, networks, setting, seed=seed, threads=1)
    integrator = context.getIntegrator()
    every = max(1, round(INTERVAL / (setting.steps[-1] * FEMTOSECOND)))
    interval = every * setting.steps[-1] * FEMTOSECOND
    evaluator = networks.all.bind([6] * 6 + [1] * 6)
    samples, oxygens = [], []
    observe = Observer(box, context.getSystem())
    try:
        integrator.step(round(EQUILIBRATION / (setting.steps[-1] * FEMTOSECOND)))
        for _ in range(round(length / interval)):
            integrator.step(every)
            state = context.getState(positions=True, velocities=True)
            sample, places = observe(state, evaluator)
            samples.append(sample)
            oxygens.append(places)
    except openmm.OpenMMException:
        return None
    values = np.array(samples)
    if not np.isfinite(values).all() or values[:, 0].mean() > 2 * 300:
        return None
    mean, spread = values.mean(axis=0), values.std(axis=0)
    diffusion = self_diffusion(np.array(oxygens), interval)
    angle, torsion = np.sqrt(mean[5]), np.sqrt(mean[6])
    return [*mean[:3], spread[2], mean[3], np.sqrt(mean[4]), angle, torsion, diffusion]


class Observer:
    """Calculate the observables of a frame."""

    def __init__(self, box: Box, system: openmm.System) -> None:
        self.region = np.asarray(box.region)
        self.ring = self.region[:6]
        masses = np.array(
            [system.getParticleMass(i)._value for i in range(system.getNumParticles())]
        )
        self.masses = masses[:, np.newaxis]
        self.water = np.setdiff1d(np.arange(len(masses)), self.region)
        inside = set(self.region.tolist())
        constrained = sum(
            1
            for k in range(system.getNumConstraints())
            if system.getConstraintParameters(k)[0] in inside
        )
        # A rigid water has 6 of 9 degrees of freedom.
        self.freedoms = 2 * len(self.water), 3 * len(self.region) - constrained

    def __call__(self, state: openmm.State, evaluator: Any) -> tuple[list[float], np.ndarray]:
        """Return the observables of a frame and the positions of the water oxygens."""
        positions = state.getPositions(asNumpy=True)._value
        velocities = state.getVelocities(asNumpy=True)._value
        doubled = self.masses * velocities**2
        temperatures = [
            doubled[atoms].sum() / (freedom * GAS_CONSTANT)
            for atoms, freedom in zip((self.water, self.region), self.freedoms, strict=True)
        ]
        ring = positions[self.ring]
        bonds = np.roll(ring, -1, axis=0) - ring
        lengths = 1000 * np.linalg.norm(bonds, axis=1)
        energy = evaluator(positions[self.region])[0]
        angles, torsions = ring_angles(bonds)
        values = [*temperatures, energy, lengths.mean(), lengths.var(), angles.var()]
        return [*values, (torsions**2).mean()], positions[self.water[::3]]


def ring_angles(bonds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the inner angles and the torsions of a ring in degrees, from its bond vectors."""
    before = np.roll(bonds, 1, axis=0)
    cosine = -(before * bonds).sum(axis=1)
    cosine /= np.linalg.norm(before, axis=1) * np.linalg.norm(bonds, axis=1)
    after = np.roll(bonds, -1, axis=0)
    first, second = np.cross(before, bonds), np.cross(bonds, after)
    sine = np.linalg.norm(bonds, axis=1) * (before * second).sum(axis=1)
    return np.degrees(np.arccos(cosine)), np.degrees(np.arctan2(sine, (first * second).sum(axis=1)))


def self_diffusion(places: np.ndarray, interval: float) -> float:
    """Return the diffusion coefficient, 1e-5 cm2/s, from unwrapped positions (frames, n, 3), nm."""
    lags = np.arange(round(1.0 / interval), round(4.0 / interval), max(1, round(0.2 / interval)))
    squared = [((places[lag:] - places[:-lag]) ** 2).sum(axis=-1).mean() for lag in lags]
    slope = np.polyfit(lags * interval, squared, 1)[0]  # nm2/ps
    return float(slope / 6 * 1000)


def compare(found: dict[str, list[list[float] | None]]) -> dict[str, Any]:
    """Return means, counts of blow-ups, and differences in pooled standard errors."""
    done = {name: np.array([r for r in rows if r is not None]) for name, rows in found.items()}
    whole = {name: rows for name, rows in done.items() if len(rows) == len(found[name])}
    freedom = sum(len(rows) - 1 for rows in whole.values())
    squares = sum(((rows - rows.mean(axis=0)) ** 2).sum(axis=0) for rows in whole.values())
    scatter = np.sqrt(squares / freedom)  # of one replica
    table: dict[str, Any] = {}
    for name, rows in found.items():
        blown = sum(row is None for row in rows)
        table[name] = {"replicas": len(rows), "blown_up": blown}
        if blown:
            continue
        reference = "0.5 kept" if TESTED[name].kept else "0.25"
        mean = done[name].mean(axis=0)
        error = scatter * np.sqrt(1 / len(rows) + 1 / len(found[reference]))
        sigmas = (mean - done[reference].mean(axis=0)) / error
        table[name]["mean"] = dict(zip(UNITS, mean.tolist(), strict=True))
        table[name]["error"] = dict(
            zip(UNITS, (scatter / np.sqrt(len(rows))).tolist(), strict=True)
        )
        table[name]["sigmas"] = dict(zip(UNITS, sigmas.tolist(), strict=True))
    return table


def report(table: dict[str, Any]) -> None:
    """Print the means, and the differences in standard errors."""
    for name, row in table.items():
        if row["blown_up"]:
            print(f"{name:26s} {row['blown_up']} of {row['replicas']} replicas blew up")
            continue
        cells = [f"{value:.2f} ({row['sigmas'][key]:+.1f})" for key, value in row["mean"].items()]
        print(f"{name:26s} " + "  ".join(cells))


def plot(table: dict[str, Any]) -> None:
    """Draw the differences as a map."""
    names = [name for name in table if name not in REFERENCES]
    sigmas = np.array(
        [
            [table[n]["sigmas"][key] for key in UNITS]
            if "sigmas" in table[n]
            else [np.nan] * len(UNITS)
            for n in names
        ]
    )
    figure, (axes,) = style.create_panels(width=8.5, height=5.2)
    shown = axes.imshow(sigmas, cmap="RdBu_r", vmin=-4, vmax=4, aspect="auto")
    for (i, j), value in np.ndenumerate(sigmas):
        text = "" if np.isnan(value) else f"{value:+.1f}"
        axes.text(j, i, text, ha="center", va="center", fontsize=style.SMALL)
    for i, name in enumerate(names):
        if table[name]["blown_up"]:
            text = f"{table[name]['blown_up']} of {table[name]['replicas']} blew up"
            axes.text(len(UNITS) / 2 - 0.5, i, text, ha="center", va="center", fontsize=style.SMALL)
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(UNITS)), [key.strip() for key in UNITS], rotation=30, ha="right")
    figure.colorbar(shown, label="difference / standard error")
    save_image(figure, "respa-faithful")


if __name__ == "__main__":
    main()

"""Measure the cost of ANI-2x energies and forces: all backends, batches and large boxes.

The molecules are the ligand of HSP90 (33 atoms, if the test data are available) and three drugs of
33, 59 and 75 atoms. The script compares every backend with the float64 reference before it times
it; TorchANI also runs with all threads. It prints tables and writes results/ani.json and
docs/images/ani_cost.png.
Usage: python benchmarks/ani.py [--rounds 20] [--model ANI-2x] [--name ani]
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from typing import Any

import numpy as np
import psutil
from common import data_folder, save_image, write_results

from nnpmm.benchmarking import (
    Molecule,
    measure_networks,
    molecule_from_structure,
    sample_molecules,
    time_in_turn,
)
from nnpmm.core.errors import ModelError, NnpmmError
from nnpmm.models import load_model
from nnpmm.models.ani import BACKENDS, AniModel
from nnpmm.plots import style

SMALL = {"water": "O", "methanol": "CO", "toluene": "Cc1ccccc1"}
BATCH = 64  # geometries
WATERS = (100, 333, 1000, 3333)  # molecules of a periodic box
EVALUATIONS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--model", default="ANI-2x", help="published name, or a model.json of ANI")
    parser.add_argument("--name", default="ani", help="name of the results file and the picture")
    arguments = parser.parse_args()
    try:
        results = measure(arguments.model, arguments.rounds)
    except NnpmmError as error:
        parser.exit(2, f"error: {error}\n")
    print(write_results(arguments.name, results))
    draw(results, arguments.name)


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Print and return all rows of a model."""
    molecules = test_ligand() + sample_molecules()
    # This comes first, before other rows have used memory that an evaluator could reuse.
    memory = memory_row(name, molecules[0])
    model = ani_model(name)
    return {
        "model": model.name,
        "networks": len(model.parameters.members),
        "molecules": [row for m in molecules for row in molecule_rows(name, m, rounds)],
        "batches": [batch_row(name, m, rounds) for m in sample_molecules(SMALL) + molecules],
        "boxes": [box_row(name, n) for n in WATERS],
        "memory": memory,
    }


def ani_model(name: str, **choices: Any) -> AniModel:
    """Return an ANI model.

    Args:
        name: published name, or path of a model.json.
        choices: backend, device, precision and threads of `nnpmm.load_model`.

    Raises:
        NnpmmError: the model cannot be loaded, or is none of ANI.
    """
    model = load_model(name, **choices)
    if not isinstance(model, AniModel):
        raise ModelError(f"found the model {name!r}, allowed: an ANI model, such as ANI-2x")
    return model


def test_ligand() -> list[Molecule]:
    """Return HSP90's ligand 3, if the test data are available."""
    path = data_folder() / "hsp90/ligand-3/ligand/ligand.gro"
    if not path.exists():
        return []
    return [molecule_from_structure(str(path), "resname LIG")._replace(name="HSP90 ligand 3")]


def molecule_rows(name: str, molecule: Molecule, rounds: int) -> list[dict]:
    """Return errors and times of every backend for one molecule."""
    models = [ani_model(name, backend=key) for key, b in BACKENDS.items() if b.missing() is None]
    reference = ani_model(name, backend="reference", device="cpu", precision="double")
    torchani = ani_model(name, backend="torchani", threads=os.cpu_count())
    rows = measure_networks(
        *(molecule, models, reference),
        rounds=rounds,
        peers={"torchani, all threads": torchani.bind(molecule.numbers)},
    )
    fastest_peer = min(row.timing.median for row in rows if row.backend.startswith("torchani"))
    print(f"{molecule.name}, {len(molecule.numbers)} atoms")
    found = []
    for row in rows:
        times = fastest_peer / row.timing.median
        print(
            f"  {row.backend:24s} {row.timing.median:8.2f} ms ({row.timing.low:.2f}-"
            f"{row.timing.high:.2f})  {times:5.2f} x TorchANI's speed  {row.times_bound:5.2f} x "
            f"bound  dE {row.energy_error:.1e}  dF {row.force_error:.1e}",
            flush=True,
        )
        found.append(row._asdict() | {"timing": row.timing._asdict(), "speed_of_torchani": times})
    return found


def batch_row(name: str, molecule: Molecule, rounds: int) -> dict:
    """Return the time per geometry in a batch and in single calls, both with the cpu backend."""
    evaluator = ani_model(name, backend="cpu").bind(molecule.numbers)
    noise = np.random.default_rng(1).normal(scale=0.002, size=(BATCH, *molecule.positions.shape))
    geometries = molecule.positions + noise

    def one_by_one() -> None:
        for geometry in geometries:
            evaluator(geometry)

    timings = time_in_turn(
        {"single": one_by_one, "batch": partial(evaluator.batch, geometries)},
        rounds=max(5, rounds // 2),
    )
    gain = timings["single"].median / timings["batch"].median
    per = {key: timing.median / BATCH for key, timing in timings.items()}
    print(
        f"batch of {BATCH}: {molecule.name}, {len(molecule.numbers)} atoms: single "
        f"{per['single']:.3f} ms, in a batch {per['batch']:.3f} ms each, {gain:.2f} x",
        flush=True,
    )
    return {"molecule": molecule.name, "atoms": len(molecule.numbers), "gain": gain, "ms": per}


def box_row(name: str, n_molecules: int) -> dict:
    """Return the time for a periodic box of water and its errors from the float64 reference."""
    numbers, positions, box = water_box(n_molecules)
    evaluator = ani_model(name, backend="cpu").bind(numbers)
    timing = time_in_turn({"": partial(evaluator, positions, box)}, rounds=5)[""]
    row = {"atoms": len(numbers), "ms": timing.median, "us_per_atom": 1000 * timing.median}
    row["us_per_atom"] /= len(numbers)
    if n_molecules <= 1000:  # the memory of the reference grows with the square
        reference = ani_model(name, backend="reference", precision="double").bind(numbers)
        expected, found = reference.evaluate(positions, box), evaluator.evaluate(positions, box)
        row["energy_error_per_atom"] = abs(found.energy - expected.energy) / len(numbers)
        row["force_error"] = float(np.abs(found.forces - expected.forces).max())
    print("periodic water:", {k: float(f"{v:.3g}") for k, v in row.items()}, flush=True)
    return row


def memory_row(name: str, molecule: Molecule) -> dict:
    """Return the memory of a model with one evaluator, before and after many evaluations."""
    process = psutil.Process()
    without = process.memory_info().rss / 2**20
    evaluator = ani_model(name, backend="cpu").bind(molecule.numbers)
    evaluator(molecule.positions)
    before = process.memory_info().rss / 2**20
    for _ in range(EVALUATIONS):
        evaluator(molecule.positions)
    after = process.memory_info().rss / 2**20
    print(
        f"resident memory: model and evaluator {before - without:.1f} MiB; "
        f"{before:.1f} MiB, after {EVALUATIONS} more evaluations {after:.1f} MiB"
    )
    grown = {"evaluations": EVALUATIONS, "before_mib": before, "after_mib": after}
    return {"evaluator_mib": before - without} | grown


def water_box(n_molecules: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return atomic numbers, positions and box (nm) of randomly rotated waters at 1 g/ml."""
    generator = np.random.default_rng(0)
    side = int(np.ceil(n_molecules ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3)[:n_molecules]
    water = np.array([[0, 0, 0], [0.0957, 0, 0], [-0.024, 0.0927, 0]])
    positions = []
    for centre in 0.3105 * grid:
        rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        positions.append(centre + water @ rotation.T)
    return np.tile([8, 1, 1], n_molecules), np.concatenate(positions), 0.3105 * side * np.eye(3)


def draw(results: dict[str, Any], name: str) -> None:
    """Draw bars of the milliseconds by molecule and backend."""
    rows = results["molecules"]
    molecules = list(dict.fromkeys((row["molecule"], row["atoms"]) for row in rows))
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    figure, (axes,) = style.create_panels(width=8, height=4)
    width = 0.8 / len(backends)
    for k, backend in enumerate(backends):
        chosen = [row for row in rows if row["backend"] == backend]
        places = np.arange(len(molecules)) + (k - (len(backends) - 1) / 2) * width
        heights = [row["timing"]["median"] for row in chosen]
        spread = [
            [row["timing"]["median"] - row["timing"]["low"] for row in chosen],
            [row["timing"]["high"] - row["timing"]["median"] for row in chosen],
        ]
        bars = axes.bar(places, heights, width, label=backend, yerr=spread)
        axes.bar_label(bars, fmt="%.1f", fontsize=6)
    axes.set_xticks(
        range(len(molecules)),
        [f"{molecule}\n{atoms} atoms" for molecule, atoms in molecules],
    )
    axes.set_yscale("log")  # peers are up to a hundred times slower
    axes.yaxis.set_major_formatter("{x:g}")
    networks = "1 network" if results["networks"] == 1 else f"{results['networks']} networks"
    title = f"{results['model']}, {networks}, on the CPU"
    style.dress(axes, ylabel="energy and forces / ms", title=title)
    style.legend(axes, ncols=len(backends), loc="lower center", bbox_to_anchor=(0.5, 1.08))
    save_image(figure, f"{name}_cost")


if __name__ == "__main__":
    main()

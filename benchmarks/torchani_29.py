"""Compare nnpmm's cpu backend with TorchANI 2.9 for ANI-2x energies and forces.

The script needs an environment with TorchANI 2.9, which reads the same NeuroChem files
(`torchani.neurochem`) from the folder in NNPMM_MODEL_DIR. It compares both programs with the
float64 reference before it times them. It prints a table and writes results/torchani_29.json.
Usage: python benchmarks/torchani_29.py [--rounds 10]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ani import test_ligand
from common import write_results

from nnpmm.benchmarking import Molecule, sample_molecules, time_in_turn
from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.models import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    from torchani import __version__

    peer = read_torchani(Path(os.environ["NNPMM_MODEL_DIR"]) / "ani-2x_8x")
    rows = [
        row(peer, molecule, arguments.rounds) for molecule in test_ligand() + sample_molecules()
    ]
    results = {"torchani": __version__, "threads": torch.get_num_threads(), "molecules": rows}
    print(write_results("torchani_29", results))


def read_torchani(folder: Path) -> torch.nn.Module:
    """Return ANI-2x as TorchANI 2.9 reads it."""
    from torchani.arch import ANI
    from torchani.neurochem import load_aev_computer_and_symbols, load_ensemble, load_sae

    (constants,) = folder.glob("*.params")
    computer, symbols = load_aev_computer_and_symbols(constants)
    networks = load_ensemble(symbols, folder / "train", 8)
    return ANI(symbols, computer, networks, load_sae(folder / "sae_linfit.dat"))


def row(peer: Any, molecule: Molecule, rounds: int) -> dict[str, Any]:
    """Return times and errors of one molecule."""
    own = load_model("ANI-2x", backend="cpu").bind(molecule.numbers)
    reference = load_model("ANI-2x", backend="reference", precision="double")
    expected = reference.bind(molecule.numbers).evaluate(molecule.positions)
    offset = own.energy_offset
    calls = {"cpu": lambda: own(molecule.positions), "torchani 2.9": caller(peer, molecule)}
    found: dict[str, Any] = {"molecule": molecule.name, "atoms": len(molecule.numbers)}
    for name, (energy, forces) in ((name, call()) for name, call in calls.items()):
        if name != "cpu":
            energy -= offset
        found[f"{name}, errors"] = [
            float(abs(energy - expected.energy)),
            float(np.abs(forces - expected.forces).max()),
        ]
    timings = time_in_turn(calls, rounds=rounds)
    found |= {f"{name}, ms": timing._asdict() for name, timing in timings.items()}
    found["gain"] = timings["torchani 2.9"].median / timings["cpu"].median
    print(
        f"{molecule.name:16s}{len(molecule.numbers):4d} atoms: cpu {timings['cpu'].median:.2f} ms, "
        f"torchani 2.9 {timings['torchani 2.9'].median:.2f} ms, {found['gain']:.1f} x; errors "
        f"{found['cpu, errors']}, {found['torchani 2.9, errors']}",
        flush=True,
    )
    return found


def caller(peer: Any, molecule: Molecule) -> Callable[[], tuple[float, np.ndarray]]:
    """Return TorchANI's energy and forces as a function, in kJ/mol and kJ/mol/nm."""
    numbers = torch.tensor(molecule.numbers)[None]
    angstrom = torch.tensor(10 * molecule.positions, dtype=torch.float32)[None]

    def call() -> tuple[float, np.ndarray]:
        positions = angstrom.clone().requires_grad_(True)
        energy = peer((numbers, positions)).energies
        (gradient,) = torch.autograd.grad(energy.sum(), positions)
        scale = HARTREE_TO_KJ_PER_MOL
        return float(energy.detach()[0]) * scale, -10 * scale * gradient[0].numpy().astype(float)

    return call


if __name__ == "__main__":
    main()

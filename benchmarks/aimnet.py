"""Compare AIMNet2 in nnpmm with the published TorchScript file: agreement and cost.

The script first compares energies, forces and charges of drugs and ions. It then times energy and
forces on one thread, with all four networks and with one; the calls take turns. The times are
processor time, which other programs disturb less than wall time. The matrix products of all layers,
forward and backward, are also timed on their own: those of the published formulation with torch,
and those of the backend cpu with its own routine. The peak rate of the processor is that of
products whose numbers stay in the first-level cache. The parts are the stages of the backend cpu.
Finally, the script measures by how much the energies of two distant molecules fail to add up, which
is a property of the model, not of nnpmm. It needs auto3d 2.3.1, which contains the file. It prints
tables and writes results/aimnet.json.
Usage: python benchmarks/aimnet.py [--rounds 20]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from typing import Any

import numba
import numpy as np
import torch
from common import write_results
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.benchmarking import Molecule, Timing, sample_molecules
from nnpmm.core.constants import COULOMB_CONSTANT, EV_TO_KJ_PER_MOL
from nnpmm.core.errors import WeightsError
from nnpmm.models.aimnet import AimnetParameters
from nnpmm.models.aimnet.backends import BACKENDS
from nnpmm.models.aimnet.cpu.kernel import CpuKernel
from nnpmm.models.aimnet.cpu.packing import Networks, pack_networks
from nnpmm.models.aimnet.family import load_aimnet
from nnpmm.models.aimnet.weights import sources
from nnpmm.models.cpu.simd import MAX_ROWS, multiply_packed, multiply_tile, panel_width

#: 32 and 59 atoms.
TIMED = {
    "ketorolac": "O=C(O)[C@H]1CCn2c1ccc2C(=O)c1ccccc1",
    "dasatinib": "Cc1nc(Nc2ncc(s2)C(=O)Nc2c(C)cccc2Cl)cc(n1)N1CCN(CCO)CC1",
}
COMPARED = TIMED | {
    "paraquat": "C[n+]1ccc(cc1)-c1cc[n+](C)cc1",
    "choline": "C[N+](C)(C)CCO",
    "bromobenzoate": "O=C([O-])c1ccc(Br)cc1",
    "oxalate": "[O-]C(=O)C(=O)[O-]",
    "iodobenzene": "Ic1ccccc1",
    "trimethylsilyl phosphate": "C[Si](C)(C)OP(=O)(O)O",
    "selenomethionine": "C[Se]CC[C@H](N)C(=O)O",
    "roxarsone": "O=[As](O)(O)c1ccc(O)c([N+](=O)[O-])c1",
    "boronic acid": "OB(O)c1cc(Cl)c(F)cc1",
}
PAIRS = (
    ("CO", "CN"),
    ("O", "O"),
    ("C[NH3+]", "O"),
    ("CC(=O)[O-]", "O"),
    ("C[NH3+]", "CC(=O)[O-]"),
)
APART = 50.0  # nm
CALLS = 3  # in each turn
DEPTH = 64
SMALL = ((MAX_ROWS, panel_width(np.float32)), (MAX_ROWS, DEPTH), (DEPTH, panel_width(np.float32)))
STAGES = (
    *("basis and coordination", "first pass", "charges", "second pass", "charges again"),
    *("last pass and back", "neighbours of last", "back from charges", "back through second"),
    *("neighbours of second", "back from first charges", "back through first", "forces"),
    "long range",
)


class File:
    """The published file without its self energies, which it would add in float32."""

    def __init__(self, members: int | None = None) -> None:
        (package,) = [source for source in sources("AIMNet2") if source.kind == "auto3d"]
        if package.path is None or not package.available:
            raise WeightsError(f"{package.detail}; pip install --no-deps auto3d==2.3.1")
        ensemble = torch.jit.load(package.path, map_location="cpu")
        networks = [getattr(ensemble.models, str(index)) for index in range(4)]
        self.shifts = []
        for network in networks:
            weight = network.module.outputs.atomic_shift.shifts.weight
            self.shifts.append(weight.detach().numpy()[:, 0].astype(np.float64))
            with torch.no_grad():
                weight.zero_()
        self.networks = networks
        self.module = ensemble if members is None else networks[members]

    def call(self, module: Any, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Evaluate a copy of the input, because the module writes into the dictionary it gets."""
        found: dict[str, torch.Tensor] = module(dict(data))
        return found

    def evaluate(
        self, molecule: Molecule, charge: int
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Return energy (kJ/mol, no self energies), forces and charges of the four networks."""
        data = as_tensors(molecule, charge)
        deviation = np.array(self.shifts) - np.mean(self.shifts, axis=0)
        energies = [
            self.call(network, data)["energy"].item() + own[molecule.numbers].sum()
            for network, own in zip(self.networks, deviation, strict=True)
        ]
        found = self.call(self.module, data)
        forces = 10 * EV_TO_KJ_PER_MOL * found["forces"][0].detach().double().numpy()
        charges = found["charges"][0].detach().double().numpy()
        return EV_TO_KJ_PER_MOL * float(np.mean(energies)), forces, charges


def as_tensors(molecule: Molecule, charge: int) -> dict[str, torch.Tensor]:
    """Return the input of the published file, in angstrom and float32."""
    centred = molecule.positions - molecule.positions.mean(axis=0)
    return {
        "coord": torch.tensor(10 * centred[None], dtype=torch.float32),
        "numbers": torch.tensor(molecule.numbers)[None],
        "charge": torch.tensor([float(charge)]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = {
        "accuracy": [accuracy_row(*each) for each in charged(COMPARED)],
        "ms": [timing_row(*each, arguments.rounds) for each in charged(TIMED)],
        "apart": [apart_row(*pair) for pair in PAIRS],
    }
    print(write_results("aimnet", results))


def charged(smiles: dict[str, str]) -> list[tuple[Molecule, int]]:
    """Return the molecules with their formal charges."""
    charges = [Chem.GetFormalCharge(Chem.MolFromSmiles(text)) for text in smiles.values()]
    return list(zip(sample_molecules(smiles), charges, strict=True))


def accuracy_row(molecule: Molecule, charge: int) -> dict[str, Any]:
    """Return the largest differences from the published file, in float32 and in float64."""
    expected = File().evaluate(molecule, charge)
    row: dict[str, Any] = {"molecule": molecule.name, "atoms": len(molecule.numbers)}
    row["charge"] = charge
    for precision in ("single", "double"):
        evaluator = load_aimnet("AIMNet2", precision=precision).bind(molecule.numbers, charge)
        energy, forces = evaluator(molecule.positions)
        row[precision] = {
            "energy_kj": abs(energy - expected[0]),
            "force_kj_nm": float(np.abs(forces - expected[1]).max()),
            "charge_e": float(np.abs(evaluator.charges(molecule.positions) - expected[2]).max()),
        }
    single = row["single"]
    print(
        f"{molecule.name:<26}{row['atoms']:>4} atoms {charge:+d} e   {single['energy_kj']:.1e} "
        f"kJ/mol  {single['force_kj_nm']:.1e} kJ/mol/nm  {single['charge_e']:.1e} e"
    )
    return row


def timing_row(molecule: Molecule, charge: int, rounds: int) -> dict[str, Any]:
    """Time energy and forces on one thread; all variants take turns."""
    data = as_tensors(molecule, charge)
    whole, one = File(), File(0)
    ours = {
        f"{backend}, {count}": load_aimnet("AIMNet2", members, backend=backend, threads=1).bind(
            molecule.numbers, charge
        )
        for backend, record in BACKENDS.items()
        if record.missing() is None
        for count, members in (("four networks", None), ("one network", 0))
    }
    parameters = ours["cpu, four networks"].model.parameters
    present = sorted({parameters.elements.index(symbol) for symbol in molecule.symbols})
    networks = pack_networks(parameters, present, np.dtype(np.float32))
    n = len(molecule.numbers)
    torch_products, gflop_published = published_products(parameters, n)
    own_products, gflop_own = packed_products(networks, n)
    rate, gflop_rate = rate_in_cache()
    calls: dict[str, Callable[[], Any]] = {
        "file, four networks": partial(whole.call, whole.module, data),
        "file, one network": partial(one.call, one.module, data),
        **{key: partial(each, molecule.positions) for key, each in ours.items()},
        "published products, torch": torch_products,
        "products of cpu": own_products,
        "products in cache": rate,
    }
    timings = processor_times(calls, rounds)
    gflop = {
        "published products, torch": gflop_published,
        "products of cpu": gflop_own,
        "products in cache": gflop_rate,
    }
    for name, timing in timings.items():
        per_second = f"{1000 * gflop[name] / timing.median:8.0f} GFLOP/s" if name in gflop else ""
        print(
            f"{molecule.name:<12}{n:>4} atoms  {name:<28}{timing.median:8.2f} ms "
            f"({timing.low:.2f} to {timing.high:.2f}){per_second}"
        )
    parts = stage_times(parameters, molecule, charge, rounds)
    print("  ".join(f"{name} {ms:.2f}" for name, ms in parts.items()))
    return {
        "molecule": molecule.name,
        "atoms": n,
        "ms": {name: timing._asdict() for name, timing in timings.items()},
        "times_as_fast": timings["file, four networks"].median
        / timings["cpu, four networks"].median,
        "gflop": gflop,
        "gflop_per_s": {name: 1000 * gflop[name] / timings[name].median for name in gflop},
        "parts_ms": parts,
    }


def published_products(
    parameters: AimnetParameters, n_atoms: int
) -> tuple[Callable[[], None], float]:
    """Return a call that computes the products of all layers, both ways, and its GFLOP."""
    layers = []
    for group in zip(*(chain(*m.passes, m.output) for m in parameters.members), strict=True):
        weight = torch.from_numpy(np.stack([layer.weight for layer in group]))
        layers.append((weight, *(torch.rand(len(group), n_atoms, k) for k in weight.shape[1:])))

    def products() -> None:
        for weight, outputs, inputs in layers:
            torch.bmm(inputs, weight.transpose(1, 2))
            torch.bmm(outputs, weight)

    return products, sum(4e-9 * n_atoms * weight.numel() for weight, _, _ in layers)


def packed_products(networks: Networks, n_atoms: int) -> tuple[Callable[[], None], float]:
    """Return a call that computes the products as the backend cpu does, and its GFLOP."""
    buffers = (
        np.random.default_rng(1).random((2, n_atoms * networks.widths.max())).astype(np.float32)
    )
    multiply_all(buffers, networks, n_atoms)
    return partial(multiply_all, buffers, networks, n_atoms), 2e-9 * n_atoms * networks.weights.size


@numba.njit(nogil=True)
def multiply_all(buffers: NDArray[np.float32], networks: Networks, rows: int) -> None:
    """Multiply rows by all weights."""
    n_passes, n_members, _ = networks.forward.shape
    for p in range(n_passes):
        for m in range(n_members):
            for layer in range(networks.depth[p]):
                n_in, n_out = networks.widths[p, layer], networks.widths[p, layer + 1]
                multiply_packed(
                    buffers[0], buffers[1], networks.weights, networks.forward[p, m, layer],
                    n_in, n_out, rows, networks.panel,
                )  # fmt: skip
    for p in range(n_passes - 1, -1, -1):
        for m in range(n_members):
            for layer in range(networks.depth[p] - 1, -1, -1):
                n_in, n_out = networks.widths[p, layer], networks.widths[p, layer + 1]
                multiply_packed(
                    buffers[0], buffers[1], networks.weights, networks.backward[p, m, layer],
                    n_out, n_in, rows, networks.panel,
                )  # fmt: skip


def rate_in_cache() -> tuple[Callable[[], None], float]:
    """Return a call that multiplies the same small matrices repeatedly, and its GFLOP."""
    panel, repeats = panel_width(np.float32), 20_000
    c, a, b = (np.ones((k, width), np.float32) for k, width in SMALL)
    multiply_small(c, a, b, 1)
    return partial(multiply_small, c, a, b, repeats), 2e-9 * repeats * MAX_ROWS * DEPTH * panel


@numba.njit(nogil=True)
def multiply_small(
    c: NDArray[np.float32], a: NDArray[np.float32], b: NDArray[np.float32], repeats: int
) -> None:
    """Multiply the same tile many times."""
    for _ in range(repeats):
        multiply_tile(
            c, 0, c.shape[1], a, 0, a.shape[1], b, 0, a.shape[1], a.shape[0], False, 0
        )  # fmt: skip


def stage_times(
    parameters: AimnetParameters, molecule: Molecule, charge: int, rounds: int
) -> dict[str, float]:
    """Return the median processor time of each stage of the backend cpu, ms."""
    kernel = CpuKernel(parameters, molecule.symbols, charge, "single", 1)
    kernel.evaluate(molecule.positions)
    buffers, flat = kernel._list_neighbours(molecule.positions[None])
    samples: dict[str, list[float]] = {name: [] for name in STAGES}
    for _ in range(rounds):
        for number, name in enumerate(STAGES):
            start = time.process_time()
            kernel._run_stages(buffers, flat, number, number + 1, with_gradient=True)
            samples[name].append(1000 * (time.process_time() - start))
    return {name: float(np.median(values)) for name, values in samples.items()}


def processor_times(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Timing]:
    """Return the processor time of each call, ms; the calls take turns."""
    for call in calls.values():
        for _ in range(3):  # TorchScript optimises during its first calls
            call()
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            start = time.process_time()
            for _ in range(CALLS):
                call()
            samples[name].append(1000 * (time.process_time() - start) / CALLS)
    return {
        name: Timing(*(float(np.percentile(values, q)) for q in (50, 25, 75)))
        for name, values in samples.items()
    }


def apart_row(first: str, second: str) -> dict[str, Any]:
    """Return the energy of two distant molecules beyond their own and their Coulomb energy."""
    (a, qa), (b, qb) = charged({"a": first, "b": second})
    model = load_aimnet("AIMNet2", precision="double")
    far = b.positions + np.array([APART, 0, 0])
    both = model.bind(np.concatenate([a.numbers, b.numbers]), qa + qb)
    positions = np.concatenate([a.positions, far])
    alone = model.bind(a.numbers, qa)(a.positions)[0] + model.bind(b.numbers, qb)(far)[0]
    excess = both(positions)[0] - alone - COULOMB_CONSTANT * qa * qb / APART
    moved = both.charges(positions)[: len(a.numbers)].sum() - qa
    print(f"{first:<10}{second:<12}{APART:g} nm apart: {excess:+.3f} kJ/mol, {moved:+.4f} e")
    return {"first": first, "second": second, "excess_kj": excess, "moved_charge_e": moved}


if __name__ == "__main__":
    main()

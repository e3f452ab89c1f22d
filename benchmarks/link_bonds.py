"""Compare link atoms at bonds between different elements with the network on all atoms.

The script cuts small molecules in vacuum at one bond and relaxes them with each potential. It then
calculates the length of the cut bond Q-M, the mean angle X-Q-M of the region's atoms, the stretch
of the bond and the tilt of the region about Q (see link_atoms.py). It also calculates the barrier
of the torsion about the bond by a relaxed scan from 180 to 0 degrees in steps of 15. Charges are
shifted. The script prints a table and writes results/link_bonds.json.
Usage: python benchmarks/link_bonds.py
"""

from __future__ import annotations

import copy
import logging

import numpy as np
import openmm
from common import write_results
from link_atoms import relaxed, stiffness_of, turned

import nnpmm
from nnpmm import structures
from nnpmm.coupling import LinkAtoms, Mechanical

# SMILES, heavy atoms of the region, and the kind of the cut bond. ANI-2x does not cover phosphorus.
BONDS = {
    "butane, CH3 / C3H7": ("CCCC", [0], "C-C"),
    "methylethylamine, CH3 / NHC2H5": ("CNCC", [0], "C-N"),
    "methylethylamine, CH3NH / C2H5": ("CNCC", [0, 1], "C-N"),
    "methoxyethane, CH3 / OC2H5": ("COCC", [0], "C-O"),
    "methoxyethane, CH3O / C2H5": ("COCC", [0, 1], "C-O"),
    "ethyl methyl sulfide, CH3 / SC2H5": ("CSCC", [0], "C-S"),
    "ethyl methyl sulfide, CH3S / C2H5": ("CSCC", [0, 1], "C-S"),
    "dimethyl disulfide, CH3S / SCH3": ("CSSC", [0, 1], "S-S"),
    "N-methylacetamide, CH3CO / NHCH3": ("CC(=O)NC", [0, 1, 2], "amide"),
    "N-methylacetamide, NHCH3 / CH3CO": ("CC(=O)NC", [3, 4], "amide"),
}
COLUMNS = ("length", "angle", "stretch", "tilt", "barrier")


def main() -> None:
    logging.disable(logging.WARNING)
    model = nnpmm.load_model("ANI-2x", precision="double")
    rows: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'':<34} {'':<12} {'nm':>8} {'deg':>8} {'kJ/mol/nm2':>11} {'/rad2':>8} {'kJ/mol':>8}")
    for name, (smiles, heavy, kind) in BONDS.items():
        rows[name] = {}
        for description, found in compare(smiles, heavy, kind, model).items():
            rows[name][description] = dict(zip(COLUMNS, found, strict=True))
            length, angle, stretch, tilt, barrier = found
            print(
                f"{name:<34} {description:<12} {length:8.4f} {angle:8.2f} {stretch:11.0f} "
                f"{tilt:8.0f} {barrier:8.2f}",
                flush=True,
            )
    settings = {"model": "ANI-2x, double precision", "charges": "shift"}
    print(write_results("link_bonds", {"settings": settings, "rows": rows}))


def compare(
    smiles: str, heavy: list[int], kind: str, model: nnpmm.models.Potential
) -> dict[str, tuple[float, ...]]:
    """Return the properties of one bond by force field, whole network and cut region."""
    molecule = structures.molecule_from_smiles(smiles, seed=1)
    mm_system = structures.create_ligand_system(molecule, structures.parameterize(molecule))
    topology, positions = structures.to_openmm_topology(molecule)
    hydrogens = [
        neighbour.GetIdx()
        for k in heavy
        for neighbour in molecule.GetAtomWithIdx(k).GetNeighbors()
        if neighbour.GetAtomicNum() == 1
    ]
    group = sorted([*heavy, *hydrogens])
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
    (bond,) = [
        (i, j) for pair in bonds for i, j in (pair, pair[::-1]) if i in group and j not in group
    ]
    around = [j for pair in bonds for i, j in (pair, pair[::-1]) if i == bond[0] and j != bond[1]]
    coupling = Mechanical(boundary=LinkAtoms(kind, charges="shift"))
    systems = {
        "force field": mm_system,
        "network": nnpmm.create_hybrid_system(
            mm_system, topology, range(topology.getNumAtoms()), model
        ),
        "cut": nnpmm.create_hybrid_system(mm_system, topology, group, model, coupling=coupling),
    }
    return {
        name: measured(system, positions, group, bond, around) for name, system in systems.items()
    }


def measured(
    system: openmm.System,
    positions: np.ndarray,
    group: list[int],
    bond: tuple[int, int],
    around: list[int],
) -> tuple[float, ...]:
    """Return length, angle, stretch, tilt and barrier of the bond (inside, outside) of a group."""
    context, x = relaxed(system, positions)
    inside, outside = bond
    axis = x[outside] - x[inside]
    length = float(np.linalg.norm(axis))
    axis /= length
    arms = x[around] - x[inside]
    cosines = arms @ axis / np.linalg.norm(arms, axis=1)
    angle = float(np.degrees(np.arccos(cosines)).mean())
    return (
        *(length, angle, *stiffness_of(context, x, group, bond)),
        barrier(system, x, group, bond, around),
    )


def barrier(
    system: openmm.System,
    x: np.ndarray,
    group: list[int],
    bond: tuple[int, int],
    around: list[int],
) -> float:
    """Return the energy range of a relaxed scan of the torsion about a bond, kJ/mol."""
    inside, outside = bond
    masses = [system.getParticleMass(k)._value for k in range(len(x))]
    first = min(around)  # heavy atoms come before hydrogens
    last = min(
        (k for k in range(len(x)) if k not in (*group, outside)),
        key=lambda k: np.linalg.norm(x[k] - x[outside]) - (0.1 if masses[k] > 2 else 0.0),
    )
    restrained = copy.deepcopy(system)
    force = openmm.CustomTorsionForce("5e4*min(d,6.283185307179586-d)^2; d=abs(theta-theta0)")
    force.addGlobalParameter("theta0", 0.0)
    force.addTorsion(first, inside, outside, last)
    force.setForceGroup(31)
    restrained.addForce(force)
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(restrained, openmm.VerletIntegrator(0.001), reference)
    axis = (x[outside] - x[inside]) / np.linalg.norm(x[outside] - x[inside])
    energies = []
    for degrees in range(-180, 1, 15):
        context.setParameter("theta0", np.radians(degrees))
        change = np.radians(degrees) - dihedral(*x[[first, inside, outside, last]])
        y = x.copy()
        y[group] = x[inside] + turned(x[group] - x[inside], -change, axis)
        context.setPositions(y)
        openmm.LocalEnergyMinimizer.minimize(context, 0.1)
        groups = set(range(31))
        energies.append(context.getState(energy=True, groups=groups).getPotentialEnergy()._value)
    return float(np.ptp(energies))


def dihedral(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> float:
    """Return the torsion angle of four points, rad."""
    first, second = np.cross(b - a, c - b), np.cross(c - b, d - c)
    return float(np.arctan2(np.linalg.norm(c - b) * ((b - a) @ second), first @ second))


if __name__ == "__main__":
    main()

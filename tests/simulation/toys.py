"""Small hybrid systems with springs as the network, and a script that runs one of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

from nnpmm.coupling import couple
from nnpmm.models import Evaluation
from nnpmm.models.bound import BoundPotential
from nnpmm.simulation import MMSystem, PreparedSystem, ProtocolConfig, run_protocol

O_H, ANGLE = 0.09572, 1.82421813


class SpringEvaluator(BoundPotential):
    """Springs between all pairs: E = k/2 sum (d - d0)^2, for two members with different k."""

    model = "springs"
    needs_molecule = False

    def __init__(self, atomic_numbers, member_constants=(2e5, 2.2e5)):
        self.atomic_numbers = np.asarray(atomic_numbers)
        self.constants = np.array(member_constants)
        self.reference = water_geometry()

    def _evaluate(self, positions, box):
        i, j = np.triu_indices(3, 1)
        bond = positions[j] - positions[i]
        length = np.linalg.norm(bond, axis=1)
        stretch = length - np.linalg.norm(self.reference[j] - self.reference[i], axis=1)
        members = 0.5 * self.constants * (stretch**2).sum()
        pull = self.constants.mean() * (stretch / length)[:, None] * bond
        forces = np.zeros_like(positions)
        np.add.at(forces, i, pull)
        np.add.at(forces, j, -pull)
        return Evaluation(float(members.mean()), forces, members)


class SpringModel:
    """A model of water's three atoms, for tests."""

    name = "springs"
    elements = ("H", "O")
    neutral_only = True

    def __init__(self, digest="springs-1"):
        self.provenance = {"model": "springs", "digest": digest}

    def bind(self, atomic_numbers, charge=0):
        return SpringEvaluator(atomic_numbers)


class SpringFamily:
    """The springs as a family of models for the registry."""

    options = ()
    accepts = "springs"

    def names(self):
        return ("springs",)

    def recognizes(self, name):
        return name == "springs"

    def load(self, name):
        return SpringModel()


def springs_alone():
    """Return the springs as the only family of models."""
    return {"springs": SpringFamily()}


def water_geometry():
    half = ANGLE / 2
    hydrogen = O_H * np.array([np.sin(half), np.cos(half), 0.0])
    return np.array([[0.0, 0.0, 0.0], hydrogen, hydrogen * (-1, 1, 1)])


def water_box(per_edge=2, periodic=False, **options) -> MMSystem:
    """A lattice of rigid waters, in vacuum or in a periodic box; options of the force field."""
    topology = app.Topology()
    chain = topology.addChain()
    positions, spacing = [], 0.33
    for cell in np.ndindex(per_edge, per_edge, per_edge):
        residue = topology.addResidue("HOH", chain)
        atoms = [
            topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
            for name in ("O", "H1", "H2")
        ]
        topology.addBond(atoms[0], atoms[1])
        topology.addBond(atoms[0], atoms[2])
        positions.append(water_geometry() + spacing * np.array(cell))
    positions = np.concatenate(positions)
    box = np.eye(3) * spacing * per_edge if periodic else None
    if periodic:
        topology.setPeriodicBoxVectors([openmm.Vec3(*row) for row in box] * unit.nanometer)
    system = app.ForceField("tip3p.xml").createSystem(
        topology,
        nonbondedMethod=app.CutoffPeriodic if periodic else app.NoCutoff,
        nonbondedCutoff=0.45 * unit.nanometer,
        rigidWater=True,
        **options,
    )
    return MMSystem(topology, positions, box, system)


def prepared_water(periodic=False, per_edge=2, digest="springs-1", region=(0, 1, 2)):
    """A lattice of waters, one of which (by default the first) is described by springs."""
    return prepare(water_box(per_edge, periodic), SpringModel(digest), region)


def prepare(mm: MMSystem, model, region=(0, 1, 2)) -> PreparedSystem:
    """An MM system with a region, one water, described by a model."""
    hybrid = couple(mm.system, mm.topology, region, model)
    return PreparedSystem(mm, hybrid, model.provenance)


def protocol(directory, *, production="0.1 ps", fmt="dcd", **changes) -> ProtocolConfig:
    settings = {
        "timestep": "1 fs",
        "platform": {"name": "Reference"},
        "stages": {
            "minimize": {"max_iterations": 20},
            "warmup": {"length": "0.01 ps"},
            "equilibrate": {"length": "0.01 ps"},
            "production": None if production is None else {"length": production},
        },
        "output": {
            "directory": directory,
            "trajectory_format": fmt,
            "trajectory_interval": "2 fs",
            "log_interval": "5 fs",
            "checkpoint_interval": "7 fs",
        },
    }
    for key, value in changes.items():
        settings[key] = {**settings.get(key, {}), **value} if isinstance(value, dict) else value
    return ProtocolConfig.model_validate(settings)


if __name__ == "__main__":
    folder, file_format, length = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    result = run_protocol(
        prepared_water(),
        protocol(folder, production=length, fmt=file_format),
        resume="--resume" in sys.argv,
        progress=False,
    )
    sys.exit(0 if result.signal_number is None else 128 + result.signal_number)

"""Settings, boxes and systems that the benchmarks of multiple time steps share."""

from __future__ import annotations

from typing import Any, NamedTuple

import openmm
from md_step import SYSTEMS, read
from openmm import app, unit

import nnpmm
from nnpmm import structures
from nnpmm.coupling import Mechanical, MultipleTimeSteps, Replaced
from nnpmm.integrators import (
    apply_hydrogen_mass,
    create_respa_integrator,
    fit_inner_potential,
    scale_masses,
    split_time_scales,
)

TEMPERATURE, FRICTION = 300.0, 1.0
FEMTOSECOND = 0.001  # ps


class Setting(NamedTuple):
    """Time steps in fs from short to long, and further choices.

    Attributes:
        steps: a single step, inner and outer, or inner, middle and outer.
        heavy: whether hydrogens have 3 amu.
        kept: whether bonds to hydrogen inside the region stay constrained.
        inner_potential: potential of the inner steps: force field, fit, or one network.
        scale: factor for the masses of the region.
        published: speed over Verlet at 0.2 fs that Jaffrelot Inizan et al. give for benzene.
    """

    steps: tuple[float, ...]
    heavy: bool = False
    kept: bool = False
    inner_potential: str = "force field"
    scale: float = 1.0
    published: float | None = None


SETTINGS = {
    "Verlet 0.2": Setting((0.2,)),
    "0.25/1": Setting((0.25, 1), published=4.74),
    "0.25/2": Setting((0.25, 2), published=8.42),
    "0.25/2/4 HMR": Setting((0.25, 2, 4), heavy=True, published=14.51),
    "0.25/2/6 HMR": Setting((0.25, 2, 6), heavy=True, published=18.17),
    "0.5/4 HMR kept": Setting((0.5, 4), heavy=True, kept=True),
    "2/4 HMR kept": Setting((2, 4), heavy=True, kept=True),
    "2/4 fit HMR kept": Setting((2, 4), heavy=True, kept=True, inner_potential="fit"),
    "2/6 HMR kept": Setting((2, 6), heavy=True, kept=True),
    "2/6 network HMR kept": Setting((2, 6), heavy=True, kept=True, inner_potential="network"),
    "Langevin 4 HMR kept": Setting((4,), heavy=True, kept=True),
    "Langevin 5 HMR kept x 2": Setting((5,), heavy=True, kept=True, scale=2),
    "Langevin 6 HMR kept x 2.5": Setting((6,), heavy=True, kept=True, scale=2.5),
}


class Box(NamedTuple):
    """An MM system with free and with constrained bonds to hydrogen inside the region."""

    topology: app.Topology
    positions: Any
    box: Any
    region: Any
    flexible: openmm.System
    constrained: openmm.System


def benzene_box(padding: float = 1.0, cutoff: float = 0.9) -> Box:
    """Return benzene in water."""
    molecule = structures.molecule_from_smiles("c1ccccc1", seed=1)
    parameters = structures.parameterize(molecule)
    free, kept = (
        structures.solvate(
            molecule,
            parameters,
            padding=padding,
            nonbonded_cutoff=cutoff,
            seed=1,
            constrain_hydrogens=constrain,
        )
        for constrain in (False, True)
    )
    positions = relaxed(free.system, kept.positions, kept.box_vectors)
    return Box(
        kept.topology, positions, kept.box_vectors, kept.ligand_atoms, free.system, kept.system
    )


def hsp90_box() -> Box:
    """Return HSP90's ligand 3 in water from the test data."""
    kind, stem, selection, _ = SYSTEMS["HSP90 ligand 3 in water"]
    topology, flexible, positions, box = read(kind, stem, constraints=None)
    constrained = read(kind, stem)[1]
    region = nnpmm.select_atoms(topology, selection)
    return Box(topology, relaxed(flexible, positions, box), box, region, flexible, constrained)


def relaxed(system: openmm.System, positions: Any, box: Any) -> Any:
    """Return positions minimised with the force field alone."""
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("CPU")
    )
    if box is not None:
        context.setPeriodicBoxVectors(*box)
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10, 500)
    return context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer)


class Networks:
    """The ensemble, one of its networks, and terms fitted to it, loaded once.

    Args:
        box: the system whose region is fitted.
        members: networks of the ensemble; None for all.
    """

    def __init__(self, box: Box, members: list[int] | None = None) -> None:
        self.all = nnpmm.load_model("ANI-2x", members=members)
        self._one = nnpmm.load_model("ANI-2x", members=[0])
        self._fit = fit_inner_potential(self.all, box.topology, box.region, box.positions)

    def inner(self, inner_potential: str) -> Any:
        """Return the argument of `MultipleTimeSteps` for an inner potential."""
        return {"force field": None, "fit": self._fit, "network": self._one}[inner_potential]


def create_context(
    box: Box, networks: Networks, setting: Setting, *, seed: int = 1, threads: int | None = None
) -> openmm.Context:
    """Return a context with the time steps of a setting and new velocities.

    A single step without kept constraints is velocity Verlet; all others have a thermostat.
    """
    several = len(setting.steps) > 1
    coupling = Mechanical(
        constraints="keep" if setting.kept else "none",
        inside=MultipleTimeSteps(networks.inner(setting.inner_potential))
        if several
        else Replaced(),
    )
    mm_system = box.constrained if setting.kept else box.flexible
    system = nnpmm.create_hybrid_system(
        mm_system, box.topology, box.region, networks.all, coupling=coupling
    )
    if setting.heavy:
        apply_hydrogen_mass(system, box.topology, 3.0)
    scale_masses(system, [int(atom) for atom in box.region], setting.scale)
    integrator = _integrator(system, setting, seed)
    properties = {} if threads is None else {"Threads": str(threads)}
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, integrator, platform, properties)
    if box.box is not None:
        context.setPeriodicBoxVectors(*box.box)
    context.setPositions(box.positions)
    context.applyConstraints(1e-6)
    context.setVelocitiesToTemperature(TEMPERATURE, seed)
    return context


def _integrator(system: openmm.System, setting: Setting, seed: int) -> Any:
    steps = [FEMTOSECOND * step for step in setting.steps]
    if len(steps) > 1:
        middle = steps[1] if len(steps) == 3 else None
        splitting = split_time_scales(system, inner=steps[0], middle=middle, outer=steps[-1])
        return create_respa_integrator(
            system, splitting, temperature=TEMPERATURE, friction=FRICTION, seed=seed
        )
    if setting == SETTINGS["Verlet 0.2"]:
        return openmm.VerletIntegrator(steps[0])
    integrator = openmm.LangevinMiddleIntegrator(
        TEMPERATURE * unit.kelvin, FRICTION / unit.picosecond, steps[0] * unit.picosecond
    )
    integrator.setRandomNumberSeed(seed)
    return integrator

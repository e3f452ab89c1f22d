"""The force field of LAMMPS at every step, a network at some: impulses, energy, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import load_with
from water_boxes import NEAR_ANI, SPC_FW, flexible_water, needs_lammps, network_energy, water

from nnpmm.core.errors import ConfigError
from nnpmm.engines.lammps import apply_network, create_simulation, system_from_topology
from nnpmm.engines.lammps.units import FORCE_UNIT

pytestmark = needs_lammps
FTM2V = 4.184e-4  # angstrom/fs^2 in kcal/mol/angstrom/amu


@pytest.fixture(scope="module")
def model():
    return load_with("ANI-1x", "cpu", "double", members=[0])


def by_tag(engine, name: str) -> np.ndarray:
    """Return a property of all atoms, in the order of their numbers."""
    n = engine.extract_setting("nlocal")
    array = np.array(engine.numpy.extract_atom(name, nelem=n))
    return array[np.argsort(engine.numpy.extract_atom("id", nelem=n).ravel())]


def by_hand(model, engine, every: int, outer: int, timestep: float) -> np.ndarray:
    """Return positions after steps in which velocities get the impulses one by one.

    The reference of ``apply_network``: half an impulse, LAMMPS' force field alone, the other half.
    """
    system = system_from_topology(*water(4))
    evaluator, masses = model.bind(system.atomic_numbers), system.masses[:, None]
    engine.commands_list([f"timestep {timestep}", "fix motion all nve", "run 0"])

    def kick() -> None:
        network = evaluator.evaluate(0.1 * by_tag(engine, "x"), system.box).forces / FORCE_UNIT
        impulse = 0.5 * every * timestep * FTM2V * (network - by_tag(engine, "f")) / masses
        tags = engine.numpy.extract_atom("id", nelem=len(masses)).ravel()
        engine.numpy.extract_atom("v", nelem=len(masses))[:] += impulse[tags - 1]

    for _ in range(outer):
        kick()
        engine.command(f"run {every}")
        kick()
    return by_tag(engine, "x")


@pytest.mark.parametrize("every", [1, 3])
def test_impulses_are_those_by_hand(model, every):
    with flexible_water() as engine:
        expected = by_hand(model, engine, every, 4, 0.25)
    with flexible_water() as engine:
        simulation = apply_network(engine, model, ["O", "H"], every=every)
        simulation.commands("timestep 0.25", "fix motion all nve", f"run {4 * every}")
        found = by_tag(engine, "x")
    with flexible_water() as engine:
        before = by_tag(engine, "x")
    assert np.abs(expected - before).max() > 0.02
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_a_network_at_every_step_is_the_only_force(model):
    """The force field cancels: the trajectory is that of the network alone."""
    with flexible_water() as engine:
        start = 0.1 * by_tag(engine, "x"), 100 * by_tag(engine, "v")
        simulation = apply_network(engine, model, ["O", "H"], every=1)
        simulation.commands("timestep 0.5", "fix motion all nve", "run 10")
        found, energy = by_tag(engine, "x"), simulation.force.member_energies
    topology, _, box = water(4)
    system = system_from_topology(topology, start[0], box)
    object.__setattr__(system, "velocities", start[1])
    with create_simulation(system, model) as alone:
        alone.commands("timestep 0.5", "fix motion all nve", "run 10")
        np.testing.assert_allclose(by_tag(alone.lammps, "x"), found, rtol=0, atol=1e-8)
        assert alone.potential_energy == pytest.approx(energy.mean(), abs=1e-5)


def totals(simulation, every: int, outer: int) -> np.ndarray:
    """Return the network's energy and the kinetic one along a run, kcal/mol."""
    found = []
    simulation.commands("run 0")
    for _ in range(outer):
        simulation.commands(f"run {every} post no")
        engine = simulation.lammps
        found.append(engine.get_thermo("ke") + network_energy(engine))
    return np.array(found)


def fluctuation(model, bonded, every: int, timestep: float) -> float:
    """Return the standard deviation of the total energy over 40 fs, kcal/mol."""
    with flexible_water(bonded=bonded) as engine:
        simulation = apply_network(engine, model, ["O", "H"], every=every)
        simulation.commands(f"timestep {timestep}", "fix motion all nve")
        return float(totals(simulation, every, 40).std())


@pytest.mark.slow
def test_energy_is_conserved_better_than_by_the_network_alone(model):
    """As many evaluations of the network, one every fs: bonds vibrate in the inner steps.

    Only where the force field's bonds are near the network's: those of SPC/Fw are 0.005 nm longer.
    """
    near = fluctuation(model, NEAR_ANI, 4, 0.25)
    assert near < 0.5 * fluctuation(model, NEAR_ANI, 1, 1.0)
    assert near < 0.5 * fluctuation(model, SPC_FW, 4, 0.25)


def test_lammps_calls_the_network_within_respa_before_a_run_alone(model):
    """Why ``run_style respa`` is refused: the fix has no place in its levels."""
    with flexible_water() as engine:
        simulation = apply_network(engine, model, ["O", "H"], every=1)
        steps = []
        simulation.force.on_step = steps.append
        simulation.commands("fix motion all nve", "run 4")
        assert steps == [0, 1, 2, 3, 4]
        steps.clear()
        engine.command("run_style respa 2 2 bond 1 angle 1 pair 2")
        engine.command("run 4")
        assert steps == [4]
        with pytest.raises(Exception, match="Illegal fix_modify respa command"):
            engine.command("fix_modify network respa 2")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("minimize 0 1 10 100", "allowed: dynamics at constant volume"),
        ("fix motion all npt temp 300 300 50 iso 1 1 500", "allowed: dynamics at constant volume"),
        ("run_style respa 2 2 pair 1", "apply_network on a force field"),
    ],
)
def test_what_needs_the_network_at_every_step_is_refused(model, line, words):
    with flexible_water() as engine:
        simulation = apply_network(engine, model, ["O", "H"], every=4)
        with pytest.raises(ConfigError, match=words):
            simulation.commands(line)


def test_what_cannot_get_a_network_is_refused(model):
    with flexible_water() as engine:
        with pytest.raises(ConfigError, match="found 1 elements for 2 atom types"):
            apply_network(engine, model, ["O"], every=4)
        with pytest.raises(ConfigError, match="found every=0"):
            apply_network(engine, model, ["O", "H"], every=0)
        engine.command("fix motion all nve")
        with pytest.raises(ConfigError, match=r"found the fix 'motion'.*define fixes afterwards"):
            apply_network(engine, model, ["O", "H"], every=4)

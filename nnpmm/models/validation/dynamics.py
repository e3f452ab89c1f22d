"""The total energy of dynamics without a thermostat is conserved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.models.protocol import Evaluator, at_each_step
from nnpmm.models.validation.check import Check, Curve, Measurement
from nnpmm.models.validation.probe import Probe

__all__ = ["ENERGY_CONSERVATION"]

_TIMESTEP = 0.00025  # ps
_STEPS = 240
_TEMPERATURE = 300.0  # K


def _measure(probe: Probe) -> Measurement:
    """Run velocity Verlet from one state with two time steps.

    A symplectic integrator of second order leaves an error of the total energy that is proportional
    to the square of the time step (B. Leimkuhler, S. Reich, Simulating Hamiltonian Dynamics, 2004).
    What remains of it when both runs are extrapolated to a step of zero comes from the forces.
    """
    generator = np.random.default_rng(5)
    thermal = np.sqrt(GAS_CONSTANT * _TEMPERATURE / probe.masses)[:, None]
    velocities = thermal * generator.normal(size=probe.positions.shape)
    velocities -= probe.masses @ velocities / probe.masses.sum()
    runs = [
        _run(probe.evaluator, probe.minimum, velocities, probe.masses, _TIMESTEP / n, n * _STEPS)
        for n in (1, 2)
    ]
    (coarse, kinetic), (fine, _) = ((total[::n], k[::n]) for n, (total, k) in enumerate(runs, 1))
    times = np.linspace(0, 1000 * _TIMESTEP * _STEPS, _STEPS + 1)
    curves = (
        Curve(f"{probe.name}, {1000 * _TIMESTEP:g} fs", times, coarse - coarse[0]),
        Curve(f"{probe.name}, {500 * _TIMESTEP:g} fs", times, fine - fine[0]),
    )
    left = (4 * (fine - fine[0]) - (coarse - coarse[0])) / 3
    exchanged = max(float(kinetic.std()), 1e-12)
    spread = coarse.std(), fine.std()
    note = f"total energy {spread[0]:.2g} kJ/mol at {1000 * _TIMESTEP:g} fs, {spread[1]:.2g} at "
    note += f"half of it, {spread[0] / max(spread[1], 1e-12):.1f} times less (4 expected)"
    return Measurement(100 * float(np.sqrt((left**2).mean())) / exchanged, note, curves)


def _run(
    evaluator: Evaluator,
    start: NDArray[np.float64],
    velocities: NDArray[np.float64],
    masses: NDArray[np.float64],
    dt: float,
    n_steps: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return total and kinetic energies (n_steps + 1,), kJ/mol, of a velocity Verlet run."""
    evaluate = at_each_step(evaluator)
    x, v, scale = start.copy(), velocities.copy(), (dt / masses)[:, None]
    potential, forces = evaluate(x)
    potentials, kinetics = np.empty((2, n_steps + 1))
    for step in range(n_steps + 1):
        potentials[step], kinetics[step] = potential, 0.5 * (masses[:, None] * v**2).sum()
        v = v + 0.5 * scale * forces
        x = x + dt * v
        potential, forces = evaluate(x)
        v = v + 0.5 * scale * forces
    return potentials + kinetics, kinetics


ENERGY_CONSERVATION = Check(
    "energy conservation",
    _measure,
    unit="%",
    good=0.5,
    bad=2.0,
    figure="spread of the total energy in NVE dynamics that does not vanish with the square of "
    "the time step, relative to the energy exchanged",
    beyond="forces and energy disagree",
)

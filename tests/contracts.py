"""Checks that every potential and every coupling must pass; tolerances in kJ/mol and nm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nnpmm.models.validation.probe import random_rotation

EnergyAndForces = Callable[[np.ndarray], tuple[float, np.ndarray]]


def assert_forces_match_energy(
    compute: EnergyAndForces,
    positions: np.ndarray,
    *,
    step: float = 1e-5,
    atol: float = 0.5,
    atoms: np.ndarray | None = None,
) -> None:
    """Central differences of the energy equal the forces, component by component."""
    forces = compute(positions)[1]
    for atom in range(len(positions)) if atoms is None else atoms:
        for axis in range(3):
            shifted = positions.copy()
            shifted[atom, axis] += step
            up = compute(shifted)[0]
            shifted[atom, axis] -= 2 * step
            down = compute(shifted)[0]
            numeric = -(up - down) / (2 * step)
            np.testing.assert_allclose(
                forces[atom, axis], numeric, rtol=0, atol=atol, err_msg=f"atom {atom}, axis {axis}"
            )


def assert_forces_match_energy_along(
    compute: EnergyAndForces,
    positions: np.ndarray,
    *,
    atoms: np.ndarray,
    step: float = 1e-5,
    atol: float = 0.5,
) -> None:
    """Central differences along random displacements of all atoms given equal the forces.

    Where an evaluation is slow, a few displacements of many atoms replace two evaluations for each
    component: an error of any component changes almost every projection.
    """
    forces = compute(positions)[1]
    for direction in np.random.default_rng(11).normal(size=(3, len(atoms), 3)):
        direction /= np.linalg.norm(direction)
        energies = []
        for sign in (1, -1):
            shifted = positions.copy()
            shifted[atoms] += sign * step * direction
            energies.append(compute(shifted)[0])
        numeric = -(energies[0] - energies[1]) / (2 * step)
        assert (forces[atoms] * direction).sum() == pytest.approx(numeric, abs=atol, rel=0)


def assert_invariant(compute: EnergyAndForces, positions: np.ndarray, *, atol: float) -> None:
    """Translation changes nothing; rotation turns the forces with the molecule."""
    energy, forces = compute(positions)
    moved = compute(positions + np.array([1.3, -0.7, 2.9]))
    np.testing.assert_allclose(moved[0], energy, rtol=0, atol=atol)
    np.testing.assert_allclose(moved[1], forces, rtol=0, atol=50 * atol)
    rotation = random_rotation(np.random.default_rng(3))
    turned = compute(positions @ rotation.T)
    np.testing.assert_allclose(turned[0], energy, rtol=0, atol=atol)
    np.testing.assert_allclose(turned[1], forces @ rotation.T, rtol=0, atol=50 * atol)


def assert_no_net_force_or_torque(
    forces: np.ndarray, positions: np.ndarray, *, atol: float
) -> None:
    """What follows from invariance: forces and torques add up to nothing."""
    np.testing.assert_allclose(forces.sum(axis=0), 0, rtol=0, atol=atol)
    np.testing.assert_allclose(np.cross(positions, forces).sum(axis=0), 0, rtol=0, atol=atol)


def assert_smooth(
    compute: EnergyAndForces, path: np.ndarray, *, energy_atol: float, force_atol: float
) -> None:
    """Nothing jumps along a path in equal steps: second differences are bounded.

    A jump of the energy or of a force shows up in full in a second difference. A smooth energy
    gives its curvature times the step squared, a force with a kink the change of slope times the
    step.

    Args:
        compute: the potential.
        path: geometries (k, n, 3) in nm, close together, on both sides of a cutoff.
        energy_atol: bound of the energy's second differences, kJ/mol.
        force_atol: bound of those of the forces, kJ/mol/nm.
    """
    energies, forces = _along(compute, path)
    np.testing.assert_allclose(np.diff(energies, 2), 0, rtol=0, atol=energy_atol)
    np.testing.assert_allclose(np.diff(forces, 2, axis=0), 0, rtol=0, atol=force_atol)


def assert_jumps_like(
    compute: EnergyAndForces, reference: EnergyAndForces, path: np.ndarray, *, atol: float
) -> None:
    """Energy and forces jump along a path where those of a reference jump, and as much.

    Args:
        compute: the potential.
        reference: another one, whose energy jumps on the path by more than ten times ``atol``.
        path: geometries (k, n, 3) in nm, in steps so small that all else is smooth.
        atol: bound of the difference of second differences, kJ/mol; times 50 for forces.
    """
    energies, forces = (np.diff(each, 2, axis=0) for each in _along(compute, path))
    expected, expected_forces = (np.diff(each, 2, axis=0) for each in _along(reference, path))
    assert np.abs(expected).max() > 10 * atol, "the reference does not jump on this path"
    np.testing.assert_allclose(energies, expected, rtol=0, atol=atol)
    np.testing.assert_allclose(forces, expected_forces, rtol=0, atol=50 * atol)


def _along(compute: EnergyAndForces, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = [compute(positions) for positions in path]
    return np.array([energy for energy, _ in found]), np.array([forces for _, forces in found])


def assert_conserves_energy(
    compute: EnergyAndForces,
    positions: np.ndarray,
    masses: np.ndarray,
    *,
    shortest_period: float = 0.008,
    precision: float = 1e-6,
) -> None:
    """The total energy of a short velocity Verlet run from rest stays within a narrow band.

    The total energy of a harmonic mode of energy E swings by (w dt)^2 / 4 E and does not drift. All
    modes together have at most about twice the largest kinetic energy, for they start at rest. What
    drifts leaves the band: a force that is 1 % too strong is off by 1 % of the change of the
    potential energy, several times the band.

    Args:
        compute: the potential.
        positions: a geometry (n, 3) in nm that is off its minimum, so that it starts to move.
        masses: (n,) amu; atoms of mass 0 stand still.
        shortest_period: the shortest period of the moving atoms, ps; 8 fs is below that of any
            bond of hydrogen.
        precision: noise of the energy, kJ/mol.
    """
    dt, n_steps = shortest_period / 80, 120
    moving = masses > 0
    scale = np.divide(dt, masses, out=np.zeros(len(masses)), where=moving)[:, None]
    x, v = positions.copy(), np.zeros_like(positions)
    potential, forces = compute(x)
    total, kinetic = [potential], [0.0]
    for _ in range(n_steps):
        v += 0.5 * scale * forces
        x += dt * moving[:, None] * v
        potential, forces = compute(x)
        v += 0.5 * scale * forces
        kinetic.append(float(0.5 * (masses[:, None] * v**2).sum()))
        total.append(potential + kinetic[-1])
    band = (2 * np.pi * dt / shortest_period) ** 2 / 4 * 2 * max(kinetic) + precision
    drift = np.ptp(total) / (n_steps * dt * moving.sum())
    assert max(kinetic) > 1.0, "nothing moves"
    assert np.ptp(total) < band, (
        f"the total energy spreads over {np.ptp(total):.3g} kJ/mol, allowed {band:.3g}: "
        f"{drift:.3g} kJ/mol per atom and ps"
    )

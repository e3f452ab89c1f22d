"""Checks that every potential and every coupling must pass; tolerances in kJ/mol and nm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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


def random_rotation(generator: np.random.Generator) -> np.ndarray:
    """Return a proper rotation matrix drawn from the uniform distribution."""
    q, r = np.linalg.qr(generator.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q

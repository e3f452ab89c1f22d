"""The finite-size correction against direct sums and finite-difference continua."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from scipy.sparse.linalg import LinearOperator, cg

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.errors import ConfigError, RegionError
from nnpmm.freeenergy.alchemy import LAMBDA_ELECTROSTATICS, decouple
from nnpmm.freeenergy.finite_size import cavity_radii, exit_time, finite_size_correction

ION = {"charges": [1.0], "positions": np.zeros((1, 3)), "radii": [0.3]}
# Two charges off the centres of a cavity of two spheres.
PAIR = {
    "charges": [0.7, 0.3],
    "positions": np.array([[-0.1, 0.0, 0.0], [0.1, 0.05, 0.0]]),
    "radii": [0.25, 0.2],
}


def test_exit_time_of_a_sphere():
    """(R^2 - r^2) / 6, and nothing outside."""
    distances = np.array([0.0, 0.1, 0.25, 0.35])
    points = distances[:, None] * np.array([0.6, 0.0, 0.8])
    found = exit_time(points, [[0, 0, 0]], [0.3], seed=1)
    expected = np.maximum(0.3**2 - distances**2, 0) / 6
    assert found[0] == pytest.approx(expected[0], rel=1e-12)  # the first step is enough
    np.testing.assert_allclose(found, expected, atol=0.08 * expected[0])


def grid_solution(apply, right, shape):
    """Solve a symmetric equation on a grid by conjugate gradients."""
    size = int(np.prod(shape))
    operator = LinearOperator(
        (size, size), matvec=lambda flat: apply(flat.reshape(shape)).ravel(), dtype=float
    )
    found, status = cg(operator, right.ravel(), rtol=1e-8, maxiter=5000)
    assert status == 0
    return found.reshape(shape)


def inside(grid, positions, radii):
    apart = np.linalg.norm(grid[..., None, :] - positions, axis=-1)
    return (apart < np.asarray(radii)).any(axis=-1)


def test_exit_time_of_two_spheres():
    """Against finite differences, whose field is zero at the first node outside."""
    step = 0.02
    axis = step * np.arange(-20, 21)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    cavity = inside(grid, PAIR["positions"], np.array(PAIR["radii"]) - step / 2)

    def apply(field):
        kept = np.where(cavity, field, 0.0)
        laplace = sum(np.roll(kept, way, axis=n) for n in range(3) for way in (-1, 1)) - 6 * kept
        return np.where(cavity, -laplace / step**2, field)

    solved = grid_solution(apply, cavity.astype(float), cavity.shape)
    points = [(15, 20, 20), (25, 22, 20), (20, 20, 20)]
    found = exit_time([grid[p] for p in points], PAIR["positions"], PAIR["radii"])
    np.testing.assert_allclose(found, [solved[p] for p in points], rtol=0.05)


def continuum(solute, width, permittivity, step=0.025):
    """Free energy of charging in a periodic dielectric, kJ/mol, with the grid's self-energy."""
    count = round(width / step)
    axis = step * (np.arange(count) - count // 2)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    on_faces = []
    for n in range(3):  # between a node and the next one along each axis
        middle = grid + 0.5 * step * np.eye(3)[n]
        cavity = inside(middle, solute["positions"], solute["radii"])
        on_faces.append(np.where(cavity, 1.0, permittivity))

    def apply(field):
        out = np.zeros_like(field)
        for n, eps in enumerate(on_faces):
            flow = eps * (np.roll(field, -1, axis=n) - field)
            out -= flow - np.roll(flow, 1, axis=n)
        return out / step**2

    density = np.zeros(grid.shape[:-1])
    nodes = [tuple(np.round(p / step).astype(int) + count // 2) for p in solute["positions"]]
    for node, charge in zip(nodes, solute["charges"], strict=True):
        density[node] += charge / step**3
    density -= density.mean()
    potential = grid_solution(apply, 4 * np.pi * COULOMB_CONSTANT * density, density.shape)
    potential -= potential.mean()
    return 0.5 * sum(
        charge * potential[node] for node, charge in zip(nodes, solute["charges"], strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("solute", [ION, PAIR], ids=["ion", "pair"])
@pytest.mark.parametrize("permittivity", [97.0, 4.0])
def test_boxes_of_a_continuum_agree(solute, permittivity):
    """Widths of 1.2 and 1.8 nm differ by some kJ/mol, after correction by the grid's error."""
    raw, corrected = [], []
    for width in (1.2, 1.8):
        free = continuum(solute, width, permittivity)
        found = finite_size_correction(**solute, volumes=[width**3], permittivity=permittivity)
        raw.append(free)
        corrected.append(free + found.total)
    assert abs(raw[1] - raw[0]) > 3
    assert corrected[1] == pytest.approx(corrected[0], abs=0.06 * abs(raw[1] - raw[0]))


# A charge surrounded by six of the opposite sign. Its multipole moments vanish below the fourth, so
# that in a periodic box it changes only the mean potential.
ARM = 0.05
OCTAHEDRON = ARM * np.array([[0, 0, 0], *np.eye(3), *-np.eye(3)])


def frozen_box(width, *, periodic):
    """A solute of two charges and twelve octahedral molecules: system, positions, molecules."""
    rng = np.random.default_rng(3)
    solute = width / 2 + np.array([[0.0, 0.0, 0.0], [0.1, 0.04, 0.02]])
    corners = width * (np.array(list(np.ndindex(3, 2, 2))) + 0.5) / (3, 2, 2)
    centres = corners + rng.uniform(-0.05, 0.05, corners.shape)
    system, force = openmm.System(), openmm.NonbondedForce()
    system.setDefaultPeriodicBoxVectors(*(width * np.eye(3)).tolist())
    if periodic:
        force.setNonbondedMethod(openmm.NonbondedForce.PME)
        force.setEwaldErrorTolerance(1e-7)
        force.setCutoffDistance(0.6)
    charges = [0.7, 0.3, *([-1.8, *[0.3] * 6] * len(centres))]
    for charge in charges:
        system.addParticle(1.0)
        force.addParticle(charge, 1.0, 0.0)
    system.addForce(force)
    positions = [*solute, *(centre + row for centre in centres for row in OCTAHEDRON)]
    return system, np.array(positions), len(centres)


def charging(system, positions):
    """Energy with the charges of the first two particles minus that without, and their own pair."""
    context = openmm.Context(
        decouple(system, [0, 1], charged=True),
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    context.setPositions(positions)
    energies = []
    for value in (1.0, 0.0):
        context.setParameter(LAMBDA_ELECTROSTATICS, value)
        energies.append(context.getState(energy=True).getPotentialEnergy()._value)
    return energies[0] - energies[1]


@pytest.mark.parametrize("width", [1.5, 2.0])
def test_corrected_periodic_energy_of_frozen_molecules_equals_the_open_one(width):
    """The corrected difference of our Ewald sum is that without periodic boundaries.

    The solvent is rigid, so its permittivity is 1. The raw value is off by 100 kJ/mol and more.
    """
    system, positions, count = frozen_box(width, periodic=True)
    raw = charging(system, positions)
    found = finite_size_correction(
        *([0.7, 0.3], positions[:2], [0.0, 0.0], [width**3]),
        permittivity=1.0,
        solvent=(count, 6 * 0.3 * ARM**2),
    )
    expected = charging(frozen_box(width, periodic=False)[0], positions)
    assert abs(raw - expected) > 50
    assert raw + found.total == pytest.approx(expected, abs=0.05)
    assert found.undersolvation == 0
    assert found.net_charge == pytest.approx(0.5 * COULOMB_CONSTANT * 2.837297 / width)


def test_discrete_solvent_correction_of_spc_water():
    """SPC water: 79 kJ/mol per charge, or 0.82 V (Kastenholz and Hunenberger 2006)."""
    trace = 2 * 0.41 * 0.1**2
    volume = 1000 / 33.4
    found = finite_size_correction(
        **ION, volumes=[volume], permittivity=65.0, solvent=(1000, trace)
    )
    assert found.discrete_solvent == pytest.approx(-79.7, abs=0.5)


def test_cavity_radii_of_joung_cheatham_ions():
    """Sodium and chloride of Joung and Cheatham: R_min/2 of 0.1369 and 0.2513 nm."""
    sigma = np.array([0.1369, 0.2513, 0.1]) * 2 ** (5 / 6)
    np.testing.assert_allclose(cavity_radii(sigma, [1.0, 1.0, 0.0]), [0.1737, 0.2881, 0.0])


def test_a_permittivity_below_one_is_refused():
    with pytest.raises(ConfigError, match=r"permittivity of 0\.5, allowed: 1 or more"):
        finite_size_correction(**ION, volumes=[8.0], permittivity=0.5)


def test_charged_environment_is_refused():
    system, _, _ = frozen_box(2.0, periodic=True)
    with pytest.raises(RegionError, match=r"charge of \+1\.000 e; allowed: neutral regions"):
        decouple(system, [0, 1])
    force = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    force.setParticleParameters(2, -2.8, 1.0, 0.0)
    with pytest.raises(RegionError, match=r"environment one of -1\.000 e; .* counter-ions"):
        decouple(system, [0, 1], charged=True)

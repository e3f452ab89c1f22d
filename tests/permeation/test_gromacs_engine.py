"""The GROMACS engine: energies against double sums, runs and their continuation."""

import dataclasses

import numpy as np
import pytest
from martini_cases import STAGE, membrane, needs_gmx

from nnpmm.core.constants import COULOMB_CONSTANT as F
from nnpmm.core.errors import OptionalDependencyError, SimulationError
from nnpmm.permeation.martini import (
    Configuration,
    MartiniSystem,
    engine_choice,
    engines,
    interaction,
    lipid,
    parse_solute,
    water,
)
from nnpmm.permeation.martini.builder import build_water_box
from nnpmm.permeation.martini.geometry import minimum_image
from nnpmm.permeation.martini.gromacs import GromacsEngine
from nnpmm.permeation.martini.pair_energy import reaction_field, unit_lennard_jones


def _reference_energy(system, configuration):
    """All terms, by sums over all pairs in numpy."""
    x, box = configuration.positions, configuration.box
    vectors = minimum_image(x[:, None] - x[None], box)
    r = np.linalg.norm(vectors, axis=2)
    i, j = np.triu_indices(system.n_beads, 1)
    bonded = {tuple(sorted(bond[:2])) for bond in system.bonds}
    excluded = np.array([(a, b) in bonded for a, b in zip(i, j, strict=True)])
    types = np.array(system.types)
    lj = 0.0
    for a in system.type_names:
        for b in system.type_names:
            chosen = (types[i] == a) & (types[j] == b) & ~excluded
            epsilon, sigma = interaction(a, b)
            lj += epsilon * unit_lennard_jones(r[i, j][chosen], sigma).sum()
    qq = system.charges[i] * system.charges[j]
    coulomb = reaction_field(r[i, j][~excluded], qq[~excluded]).sum()
    coulomb += reaction_field(r[i, j][excluded], qq[excluded], excluded=True).sum()
    coulomb -= 0.5 * F / 15 * 1.5 / 1.2 * (system.charges**2).sum()
    bonds = sum(k / 2 * (r[a, b] - length) ** 2 for a, b, length, k in system.bonds)
    angles = 0.0
    for a, b, c, degrees, k in system.angles:
        cosine = vectors[a, b] @ vectors[c, b] / r[a, b] / r[c, b]
        angles += k / 2 * (cosine - np.cos(np.radians(degrees))) ** 2
    return engines.EnergyTerms(bonds, angles, lj, coulomb)


@needs_gmx
@pytest.mark.parametrize("name", ["DPPC", "DOPC", "DAPC", "DIPC"])
def test_energies_match_the_numpy_reference(name, tmp_path):
    system, start = membrane(name)
    engine = GromacsEngine(threads=1)
    relaxed = engine.minimize(system, start, tmp_path)
    found = engine.energy(system, relaxed)
    expected = _reference_energy(system, relaxed)
    for got, want in zip(found, expected, strict=True):
        assert got == pytest.approx(want, rel=2e-5)


@needs_gmx
def test_run_gives_consistent_frames_and_observables(tmp_path):
    system, start = membrane()
    engine = GromacsEngine(threads=1)
    relaxed = engine.minimize(system, start, tmp_path)
    calls = []
    result = engine.run(system, relaxed, STAGE, tmp_path, calls.append)
    frames = list(engines.read_frames(result.trajectory))
    times = np.arange(0, 61, 4.0)
    np.testing.assert_allclose([frame.time for frame in frames], times, atol=1e-3)
    np.testing.assert_allclose(result.observables["time"], times, atol=1e-3)
    np.testing.assert_allclose(
        [np.prod(frame.box) for frame in frames], result.observables["volume"], rtol=1e-4
    )
    np.testing.assert_allclose(result.configuration.box, frames[-1].box, rtol=1e-5)
    last = Configuration(frames[-1].positions, frames[-1].box)
    potential = engine.energy(system, last).total
    restraint = result.observables["potential"][-1] - potential
    assert -0.05 < restraint < 10.0  # k/2 dz^2 of the solute, and rounding
    assert result.configuration.velocities.shape == (system.n_beads, 3)
    # A second call finds the complete run and adds nothing.
    again = engine.run(system, relaxed, STAGE, tmp_path)
    np.testing.assert_allclose(again.configuration.positions, result.configuration.positions)
    assert len(list(engines.read_frames(again.trajectory))) == len(frames)


@needs_gmx
def test_failures_give_one_line(tmp_path):
    system, start = build_water_box(parse_solute("C1"))
    torn = Configuration(np.full_like(start.positions, np.nan), start.box)
    with pytest.raises(SimulationError, match="gmx grompp failed") as caught:
        GromacsEngine(threads=1).minimize(system, torn, tmp_path)
    assert "\n" not in str(caught.value)


@needs_gmx
def test_reaction_field_of_a_charged_pair(tmp_path):
    """The reaction field at one distance, with the phosphate's exclusion and both self terms."""
    two = dataclasses.replace(lipid("DPPC"), beads=lipid("DPPC").beads[:2], bonds=(), angles=())
    positions = np.array([[1.0, 1.0, 1.0], [1.7, 1.0, 1.0]])
    system = MartiniSystem(((two, 1),))
    found = GromacsEngine(threads=1).energy(system, Configuration(positions, np.full(3, 4.0)))
    k, c = 0.5 / 1.2**3, 1.5 / 1.2
    assert found.coulomb == pytest.approx(-F / 15 * (1 / 0.7 + k * 0.7**2 - c + c), rel=1e-5)


def test_missing_gmx_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OptionalDependencyError, match="found no gmx on the PATH; install GROMACS"):
        engine_choice.create_engine("gromacs")


@needs_gmx
@pytest.mark.slow
@pytest.mark.parametrize(("antifreeze", "density"), [(False, 1000.0), (True, 898.0)])
def test_density_of_water(antifreeze, density, tmp_path):
    """W has the density of water (Marrink et al. 2007); a tenth of the larger WF lowers it.

    The second density is that of GROMACS with the published topology files.
    """
    system, start = build_water_box(None)
    if not antifreeze:
        system = MartiniSystem(((water(), system.n_beads),))
    engine = GromacsEngine(threads=1)
    stage = STAGE.model_copy(update={"length": 600.0, "isotropic": True, "restraint": None})
    result = engine.run(system, engine.minimize(system, start, tmp_path), stage, tmp_path)
    volume = result.observables["volume"][50:].mean()
    assert system.masses.sum() / volume * 1.66053907 == pytest.approx(density, rel=0.015)

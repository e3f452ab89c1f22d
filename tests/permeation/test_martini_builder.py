"""Initial structures: composition, positions, and no severe overlaps."""

import numpy as np
import pytest

from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.permeation.martini import parse_solute, tables
from nnpmm.permeation.martini.builder import build_bilayer, build_water_box, insert_solute
from nnpmm.permeation.martini.geometry import (
    make_whole,
    minimum_image,
    periodic_center,
    solute_height,
)


def _closest(positions, box):
    vectors = minimum_image(positions[:, None] - positions[None], box)
    distances = np.linalg.norm(vectors, axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.min()


@pytest.mark.parametrize("name", tables.LIPID_TAILS)
def test_bilayer_of_each_lipid(name):
    system, start = build_bilayer({name: 16}, waters_per_lipid=12, seed=3)
    assert system.count("lipid") == 32 and system.count("water") == 384
    assert sum(t == "BP4" for t in system.types) == 38
    assert system.n_beads == len(start.positions)
    assert system.charges.sum() == 0.0
    assert _closest(start.positions, start.box) > 0.2
    lipids = system.select("lipid")
    middle = periodic_center(start.positions[lipids, 2], start.box[2])
    assert middle == pytest.approx(start.box[2] / 2)
    heads = start.positions[[n for n, b in enumerate(system.beads) if b.name == "PO4"], 2] - middle
    assert (heads > 1.2).sum() == (heads < -1.2).sum() == 16


def test_mixture_and_reproducible_seeds():
    system, start = build_bilayer({"DOPC": 10, "DPPC": 6}, seed=1)
    assert [(kind.name, n) for kind, n in system.molecules[:2]] == [("DOPC", 20), ("DPPC", 12)]
    again = build_bilayer({"DOPC": 10, "DPPC": 6}, seed=1)[1]
    other = build_bilayer({"DOPC": 10, "DPPC": 6}, seed=2)[1]
    np.testing.assert_array_equal(start.positions, again.positions)
    assert not np.allclose(start.positions, other.positions)


@pytest.mark.parametrize("z", [0.0, 2.0, -1.5])
def test_solute_at_a_height(z):
    solute = parse_solute("C1-C3-N0")
    system, start = insert_solute(*build_bilayer({"DPPC": 16}), solute, z=z, seed=5)
    assert system.molecules[-1] == (solute, 1)
    beads = system.select("solute")
    assert beads.tolist() == list(range(system.n_beads - 3, system.n_beads))
    whole = make_whole(system, start.positions, start.box)[beads]
    middle = periodic_center(start.positions[system.select("lipid"), 2], start.box[2])
    assert whole[:, 2].mean() - middle == pytest.approx(z, abs=1e-9)
    bonds = np.linalg.norm(np.diff(whole, axis=0), axis=1)
    np.testing.assert_allclose(bonds, 0.47, atol=0.02)


def test_water_box():
    solute = parse_solute("C1-C1-C1+1-3")
    system, start = build_water_box(solute, seed=2)
    np.testing.assert_array_equal(start.box, 3.0)
    n_water = system.count("water")
    assert 200 < n_water < 216
    assert sum(t == "BP4" for t in system.types) == round(0.1 * n_water)
    ring = make_whole(system, start.positions, start.box)[system.select("solute")]
    for i, j in ((0, 1), (1, 2), (0, 2)):
        assert np.linalg.norm(ring[i] - ring[j]) == pytest.approx(0.47, abs=0.02)
    assert _closest(start.positions, start.box) > 0.4


def test_center_of_a_slab_across_the_boundary():
    z = np.array([9.5, 9.9, 0.1, 0.5, 0.5])
    assert periodic_center(z, 10.0) == pytest.approx((-0.5 - 0.1 + 0.1 + 0.5 + 0.5) / 5)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5, 0.8])
def test_height_of_a_solute_does_not_depend_on_the_cell(shift):
    """The bilayer may cross the periodic boundary, with the solute on the other side."""
    system, start = insert_solute(*build_bilayer({"DOPC": 16}), parse_solute("C1"), z=1.2)
    moved = (start.positions + shift * start.box) % start.box
    assert solute_height(system, moved, start.box) == pytest.approx(1.2, abs=1e-6)


def test_invalid_requests_are_refused():
    with pytest.raises(ConfigError, match=r"found a box of 1.73 x 1.73 .* more lipids"):
        build_bilayer({"DPPC": 4})
    with pytest.raises(ConfigError, match="edges must be at least"):
        build_water_box(None, edge=2.4)
    with pytest.raises(ConfigError, match="found no lipids"):
        build_bilayer({})
    with pytest.raises(ConfigError, match="waters per lipid"):
        build_bilayer({"DPPC": 16}, waters_per_lipid=0)
    with pytest.raises(ForceFieldError, match="known lipids"):
        build_bilayer({"DSPC": 16})

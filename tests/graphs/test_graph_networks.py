"""Networks on graphs and distances: their symmetries, and slow references of their parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from rdkit import Chem

from nnpmm.core.errors import InputFileError
from nnpmm.graphs.bonds import MEAN_LOG_DEGREE, BondNetwork, aggregate
from nnpmm.graphs.contrast import agreement, contrast
from nnpmm.graphs.distances import DistanceNetwork, collate_conformers
from nnpmm.graphs.features import MolecularGraph, collate, graph_of
from nnpmm.graphs.segments import extremes, means, sums
from nnpmm.graphs.settings import GraphSettings, SpatialSettings

SMILES = ("CC(=O)Oc1ccccc1C(=O)O", "C", "C[C@H](N)C(=O)O", "FC(F)(F)CCS(=O)(=O)N")


@pytest.fixture
def bonds() -> BondNetwork:
    torch.manual_seed(1)
    network = BondNetwork(GraphSettings(width=12, layers=3))
    network.train()
    network(collate([graph_of(text) for text in SMILES]))  # the running means are not trivial
    return network.eval().double()


@pytest.fixture
def distances() -> DistanceNetwork:
    torch.manual_seed(2)
    network = DistanceNetwork(SpatialSettings(width=8, layers=2), outputs=5)
    return network.eval().double()


def states(network: BondNetwork, *graphs: MolecularGraph) -> np.ndarray:
    batch = collate(graphs)
    found = network(batch._replace(atoms=batch.atoms.double(), bonds=batch.bonds.double()))
    return found.detach().numpy()


def numbers(network: DistanceNetwork, positions: np.ndarray) -> np.ndarray:
    batch = collate_conformers([positions])
    return network(batch._replace(distances=batch.distances.double())).detach().numpy()


@pytest.mark.parametrize("smiles", SMILES)
def test_the_order_of_atoms_and_bonds_does_not_matter(bonds, smiles):
    rng = np.random.default_rng(3)
    graph = graph_of(smiles)
    atoms, edges = rng.permutation(len(graph.atoms)), rng.permutation(len(graph.source))
    place = np.argsort(atoms)
    shuffled = MolecularGraph(
        graph.atoms[atoms],
        graph.bonds[edges],
        place[graph.source[edges]],
        place[graph.target[edges]],
    )
    np.testing.assert_allclose(states(bonds, graph), states(bonds, shuffled), rtol=0, atol=1e-12)


def test_a_molecule_does_not_depend_on_its_batch(bonds):
    graphs = [graph_of(text) for text in SMILES]
    alone = np.concatenate([states(bonds, graph) for graph in graphs])
    np.testing.assert_allclose(states(bonds, *graphs), alone, rtol=0, atol=1e-12)


def test_isomers_differ(bonds):
    pairs = (("CCO", "COC"), ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"), ("C/C=C/C", "C/C=C\\C"))
    for first, second in pairs:
        found = [states(bonds, graph_of(Chem.CanonSmiles(text))) for text in (first, second)]
        assert np.abs(found[0] - found[1]).max() > 1e-3


def test_aggregates_are_those_of_a_loop():
    rng = np.random.default_rng(4)
    messages = rng.normal(size=(9, 3))
    target = np.array([0, 0, 0, 1, 1, 3, 3, 3, 3])  # nobody writes to atom 2
    found, scales = aggregate(torch.from_numpy(messages), torch.from_numpy(target), 4)
    for atom in range(4):
        heard = messages[target == atom]
        if not len(heard):
            np.testing.assert_allclose(found[atom, :9], 0.0)
            np.testing.assert_allclose(scales[:, atom], [1.0, 0.0, 0.0])
            continue
        expected = [heard.mean(0), heard.max(0), heard.min(0), np.sqrt(heard.var(0) + 1e-5)]
        np.testing.assert_allclose(found[atom], np.concatenate(expected), rtol=0, atol=1e-10)
        scale = math.log(len(heard) + 1) / MEAN_LOG_DEGREE
        np.testing.assert_allclose(scales[:, atom], [1.0, scale, 1.0 / scale])


def test_segments_are_those_of_a_loop():
    rng = np.random.default_rng(5)
    values, owner = rng.normal(size=(7, 2)), np.array([2, 0, 2, 3, 3, 3, 0])
    args = (torch.from_numpy(values), torch.from_numpy(owner), 4)
    rows = [values[owner == n] if (owner == n).any() else np.zeros((1, 2)) for n in range(4)]
    for found, loop in zip(
        (sums(*args), means(*args), *extremes(*args)),
        (np.sum, np.mean, np.max, np.min),
        strict=True,
    ):
        np.testing.assert_allclose(found, [loop(row, axis=0) for row in rows], rtol=0, atol=1e-14)


def test_the_slopes_are_those_of_finite_differences(bonds):
    batch = collate([graph_of(text) for text in SMILES])
    batch = batch._replace(bonds=batch.bonds.double())

    def total(atoms: torch.Tensor) -> torch.Tensor:
        return bonds(batch._replace(atoms=atoms)).square().sum()

    # Away from 0 and 1, where largest and smallest of several equal atoms would change places.
    start = batch.atoms.double() + 0.1 * torch.rand(batch.atoms.shape, dtype=torch.float64)
    direction = torch.randn(start.shape, dtype=torch.float64)
    start.requires_grad_(True)
    (slope,) = torch.autograd.grad(total(start), start)
    step = 1e-6
    change = (total(start + step * direction) - total(start - step * direction)) / (2 * step)
    assert change.item() == pytest.approx(float((slope * direction).sum()), rel=1e-5)


def test_the_network_of_distances_is_invariant_to_rotation_and_translation(distances):
    rng = np.random.default_rng(6)
    positions = 0.3 * rng.normal(size=(6, 7, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))  # with a reflection or without
    before = numbers(distances, positions)
    for moved in (
        positions @ turn,
        positions @ -turn,
        positions + 5.0,
        positions[:, rng.permutation(7)],
    ):
        np.testing.assert_allclose(numbers(distances, moved), before, rtol=0, atol=1e-4)
    stretched = positions * np.array([1.1, 1, 1, 1, 1, 1])[:, None, None]
    assert np.abs(numbers(distances, stretched) - before).max() > 1e-3


def test_distances_are_enough(distances):
    """Molecules of other sizes in the batch do not change the distances of a conformer."""
    rng = np.random.default_rng(7)
    shapes = ((2, 5), (1, 1), (3, 8))
    molecules = [0.3 * rng.normal(size=(k, n, 3)).astype(np.float32) for k, n in shapes]
    batch = collate_conformers(molecules)
    assert batch.conformers == 6 and len(batch.conformer) == 2 * 5 + 1 + 3 * 8
    place = 0
    points = np.concatenate([found.reshape(-1, 3) for found in molecules])
    for k, n in shapes:
        pairs = k * n * (n - 1) // 2
        i, j = (each[place : place + pairs].numpy() for each in (batch.first, batch.second))
        expected = np.linalg.norm(points[i] - points[j], axis=1)
        np.testing.assert_allclose(batch.distances[place : place + pairs], expected, atol=1e-6)
        assert (batch.conformer[i] == batch.conformer[j]).all() and (i < j).all()
        place += pairs
    assert place == len(batch.distances)


def slow_contrast(graphs, conformers, owner, temperature: float) -> float:
    """The loss term by term."""

    def mean_of(i: int, k: int) -> float:
        found = [
            math.exp(float(torch.cosine_similarity(graphs[i], conformers[j], dim=0)) / temperature)
            for j in range(len(conformers))
            if int(owner[j]) == k
        ]
        return sum(found) / len(found)

    count = len(graphs)
    return (
        sum(
            -math.log(mean_of(i, i) / sum(mean_of(i, k) for k in range(count) if k != i))
            for i in range(count)
        )
        / count
    )


def test_the_loss_is_that_of_a_loop():
    torch.manual_seed(8)
    graphs, conformers = torch.randn(4, 6).double(), torch.randn(9, 6).double()
    owner = torch.tensor([0, 0, 1, 1, 1, 2, 3, 3, 3])
    for temperature in (0.1, 1.0):
        found = float(contrast(graphs, conformers, owner, temperature))
        expected = slow_contrast(graphs, conformers, owner, temperature)
        assert found == pytest.approx(expected, rel=1e-12)


def test_the_loss_is_the_published_one_for_one_conformer():
    """NT-Xent: minus the cosine / T plus the logarithm of the sum over the others."""
    graphs = torch.eye(3).double()
    same, other = math.exp(1.0 / 0.5), 2 * math.exp(0.0)
    found = float(contrast(graphs, graphs, torch.arange(3), 0.5))
    assert found == pytest.approx(-math.log(same / other))


def test_agreement_counts_the_right_neighbours():
    graphs = torch.eye(3)
    conformers = torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0, 0, 1.0], [0, 1.0, 0.1]])
    assert agreement(graphs, conformers, torch.tensor([0, 0, 1, 2])) == pytest.approx(1 / 3)
    assert agreement(graphs, conformers, torch.tensor([0, 0, 2, 1])) == 1.0


def test_unknown_elements_and_charges_are_refused():
    with pytest.raises(InputFileError, match="element Fe, allowed: B, C"):
        graph_of("C[Fe]")
    with pytest.raises(InputFileError, match=r"charge of \+2 on S"):
        graph_of("C[S+2]C")

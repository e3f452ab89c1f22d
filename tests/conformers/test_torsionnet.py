"""The policy that searches conformers: symmetries, rewards, learning, interrupted training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rdkit import Chem

from nnpmm.conformers import GibbsReference, gibbs_score
from nnpmm.conformers.monte_carlo import Turns
from nnpmm.conformers.rotors import rotatable_bonds
from nnpmm.conformers.screening import with_conformers
from nnpmm.conformers.structure import same_chemistry
from nnpmm.conformers.torsionnet import (
    TrainingSettings,
    branched_alkanes,
    evaluate_policy,
    load_policy,
    torsionnet_conformers,
    train_policy,
    training,
    unseen_alkanes,
)
from nnpmm.conformers.torsionnet.environment import Episode, Observation, Task
from nnpmm.conformers.torsionnet.graph import MoleculeGraph
from nnpmm.conformers.torsionnet.policy import Policy, PolicySettings, batch_of, joined
from nnpmm.conformers.torsionnet.ppo import PPOSettings, advantages, improve, play
from nnpmm.core.errors import ConfigError, InputFileError
from nnpmm.structures import molecule_from_smiles
from nnpmm.torsions.internal import dihedral

SMALL = PolicySettings(width=16, layers=2)


def built(smiles, seed=1):
    molecule = molecule_from_smiles(smiles, seed=seed)
    Chem.AssignStereochemistryFrom3D(molecule)
    return molecule


def seen(molecule, positions=None):
    """Return the input of a policy for a molecule's conformer."""
    graph = MoleculeGraph.of(molecule, turns := Turns.of(molecule))
    if positions is None:
        positions = 0.1 * np.array(molecule.GetConformer().GetPositions())
    torsions = dihedral(positions, turns.torsions)
    return graph, Observation(positions[graph.atoms], torsions, np.array([0.1, 0.2, 0.3]))


def fresh(seed=1):
    """Return a policy that prefers some angles, unlike an untrained one."""
    torch.manual_seed(seed)
    policy = Policy(SMALL)
    torch.nn.init.normal_(policy.choose[2].weight)
    return policy.double()


def asked(policy, *views):
    """Return logits and values of a policy in double precision."""
    batch = batch_of([g for g, _ in views], [o for _, o in views])
    names = ("atoms", "pair_features", "angles", "positions", "now", "scalars")
    fields = {name: getattr(batch, name).double() for name in names}
    logits, values, _ = policy(type(batch)(**{**vars(batch), **fields}))
    return logits[0].detach(), values[0].detach()


def test_logits_are_invariant_to_rotation_and_translation():
    molecule = built("CC(C)CC(=O)NCCO")
    positions = 0.1 * np.array(molecule.GetConformer().GetPositions())
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    one = asked(fresh(), seen(molecule, positions))
    other = asked(fresh(), seen(molecule, positions @ turn + 0.7))
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_the_order_of_atoms_changes_only_the_order_of_rotors():
    molecule = built("CC(C)CC(=O)NCCO")
    order = np.random.default_rng(2).permutation(molecule.GetNumAtoms()).tolist()
    mixed = Chem.RenumberAtoms(molecule, order)
    # The same torsions: those of a renumbered molecule may have other ends.
    turns, place = Turns.of(molecule), np.argsort(order)
    same = turns._replace(torsions=place[turns.torsions], moved=turns.moved[:, order])
    graph = MoleculeGraph.of(mixed, same)
    positions = 0.1 * np.array(mixed.GetConformer().GetPositions())
    view = Observation(
        positions[graph.atoms], dihedral(positions, same.torsions), np.array([0.1, 0.2, 0.3])
    )
    one, other = asked(fresh(), seen(molecule)), asked(fresh(), (graph, view))
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_molecules_of_a_batch_do_not_see_each_other():
    views = [seen(built(smiles)) for smiles in ("CCCCC", "CC(=O)NCCO", "OCC(C)CN")]
    logits, values = asked(fresh(), *views)
    first = 0
    for number, view in enumerate(views):
        alone, value = asked(fresh(), view)
        part = logits[first : (first := first + len(alone)), : alone.shape[1]]
        torch.testing.assert_close(part, alone, rtol=0, atol=1e-5)
        assert float(values[number]) == pytest.approx(float(value[0]), abs=1e-5)


def test_steps_together_are_steps_one_after_the_other():
    """The memory works: all steps at once, as in learning, give the logits of single steps."""
    graph, view = seen(built("CCCC(C)CO"))
    torch.manual_seed(1)
    policy, memory, one_by_one = Policy(SMALL), None, []
    views = [view._replace(torsions=view.torsions + 0.3 * n) for n in range(4)]
    batches = [batch_of([graph], [each]) for each in views]
    for batch in batches:
        logits, _, memory = policy(batch, memory)
        one_by_one.append(logits[0])
    together, _, _ = policy(joined(batches))
    torch.testing.assert_close(together, torch.stack(one_by_one), rtol=0, atol=1e-5)
    forgetful, _, _ = policy(batches[-1])
    torch.nn.init.normal_(policy.choose[2].weight)
    remembering = policy(joined(batches))[0][-1]
    assert not torch.allclose(policy(batches[-1])[0][0], remembering, atol=1e-4)
    assert forgetful.shape == together[-1:].shape


class Toy:
    """A game whose reward is the fraction of rotors at 180 degrees, the second of three angles."""

    def __init__(self, smiles="CCCCC", steps=8):
        self.graph, self.view = seen(built(smiles))
        self.left = steps
        self.view = self.view._replace(torsions=np.full(len(self.graph.torsions), np.pi / 3))

    @property
    def is_done(self):
        return self.left == 0

    def observe(self):
        return self.view

    def step(self, action):
        self.left -= 1
        return float((action == 1).mean())


def test_the_gradient_reaches_every_weight():
    policy, games = fresh().float(), [Toy(), Toy("CCC(C)CC")]
    torch.nn.init.normal_(policy.choose[2].weight)
    rollout = play(policy, [g.graph for g in games], games, torch.Generator().manual_seed(1))
    before = {name: p.detach().clone() for name, p in policy.named_parameters()}
    improve(policy, torch.optim.SGD(policy.parameters(), lr=1.0), [rollout], PPOSettings(passes=1))
    for name, parameter in policy.named_parameters():
        assert (parameter != before[name]).any(), name


def test_the_policy_learns_a_toy():
    torch.manual_seed(1)
    policy = Policy(SMALL)
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    generator, scores = torch.Generator().manual_seed(1), []
    for _ in range(30):
        games = [Toy() for _ in range(4)]
        rollout = play(policy, [g.graph for g in games], games, generator)
        improve(policy, optimizer, [rollout], PPOSettings())
        scores.append(float(rollout.rewards.mean()))
    assert scores[0] < 0.4  # it stays where it is
    assert np.mean(scores[-3:]) > 0.9


def test_advantages_of_two_steps_by_hand():
    rewards, values = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.5], [0.25]])
    found = advantages(rewards, values, discount=0.9, trace=0.8)
    last = 2.0 - 0.25
    first = 1.0 + 0.9 * 0.25 - 0.5 + 0.9 * 0.8 * last
    torch.testing.assert_close(found, torch.tensor([[first], [last]]))


def test_rewards_are_what_the_gibbs_score_gains():
    molecule, reference = built("CCCCC(C)CO"), GibbsReference(20.0, 2.0)
    task = Task.of(molecule, reference, threshold=0.1, thermal_energy=3.0)
    episode = Episode(task, 12, seed=1)
    start, random = episode.gibbs.score, np.random.default_rng(1)
    rewards = []
    while not episode.is_done:
        rewards.append(episode.step(random.integers(0, 3, size=len(task.turns.counts))))
    found = with_conformers(molecule, np.array(episode.positions))
    score = gibbs_score(found, episode.energies, reference, thermal_energy=3.0, threshold=0.1)
    assert len(episode.energies) == 13
    assert start + sum(rewards) == pytest.approx(score, rel=1e-9)
    assert same_chemistry(molecule, np.array(episode.positions)).all()


def test_an_action_turns_the_rotors_before_the_minimisation(monkeypatch):
    task = Task.of(built("CCCCO"), GibbsReference(0.0))
    episode = Episode(task, 3, seed=1)
    monkeypatch.setattr(task.field, "relax", lambda x, steps: (x, 0.0))
    episode.step(np.array([0, 2, 1]))
    found = np.degrees(dihedral(episode.positions[-1], task.turns.torsions)) % 360
    wanted = np.array([60.0, 300.0, 180.0])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=20)  # a rotor that is there stays


def test_alkanes_from_small_to_large():
    found = branched_alkanes(20, rotors=(2, 6), seed=3)
    bonds = [len(rotatable_bonds(Chem.AddHs(Chem.MolFromSmiles(smiles)))) for smiles in found]
    assert len(set(found)) == 20 and bonds == sorted(bonds)
    assert (bonds[0], bonds[-1]) == (2, 6)
    assert found == branched_alkanes(20, rotors=(2, 6), seed=3)
    for smiles in found:
        centres = Chem.FindMolChiralCenters(Chem.MolFromSmiles(smiles), includeUnassigned=True)
        assert "?" not in [label for _, label in centres]
    with pytest.raises(ConfigError, match="take fewer"):
        branched_alkanes(8, rotors=(1, 1), seed=3)


def quick(**changes):
    return TrainingSettings(
        molecules=("CCCCC", "CCCCO", "CCC(C)CC", "CC(C)CCO", "CCCCCC", "CCCOCC"),
        **{"updates": 3, "episodes": 3, "steps": 4, "goal": 0.01, "window": 2, "policy": SMALL}
        | changes,
    )


def test_an_interrupted_training_ends_with_the_same_policy(tmp_path):
    whole = train_policy(quick(), tmp_path / "whole")
    parts = tmp_path / "parts"

    def stop(done, total):
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_policy(quick(), parts, progress=stop)
    resumed = train_policy(quick(), parts)
    assert resumed.card.curve == whole.card.curve
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
    # More molecules came into use, and the files of both are the same to the bit.
    assert whole.card.curve[-1][0] > whole.card.curve[0][0] == 4
    name = "policy.safetensors"
    assert (parts / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_more_updates_go_on_and_other_settings_are_refused(tmp_path):
    train_policy(quick(updates=1), tmp_path)
    with pytest.raises(ConfigError, match="was started with steps 4, found 5"):
        train_policy(quick(steps=5), tmp_path)
    with pytest.raises(ConfigError, match="was started with policy"):
        train_policy(quick(policy=PolicySettings(width=8)), tmp_path)
    assert len(train_policy(quick(updates=2), tmp_path).card.curve) == 2


def test_a_policy_is_read_again_and_searches(tmp_path):
    train_policy(quick(updates=1), tmp_path)
    policy = load_policy(tmp_path)
    molecule = built("CC(=O)NCCCO")  # of other elements than it has seen
    found = torsionnet_conformers(molecule, 11, policy, seed=2)
    assert found.shape == (11, molecule.GetNumAtoms(), 3)
    assert same_chemistry(molecule, found).all()
    np.testing.assert_array_equal(found, torsionnet_conformers(molecule, 11, policy, seed=2))
    with pytest.raises(ConfigError, match="use the generator etkdg"):
        torsionnet_conformers(built("c1ccccc1"), 5, policy)
    weights = tmp_path / "policy.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(InputFileError):
        load_policy(tmp_path)
    with pytest.raises(InputFileError, match="cannot be read"):
        load_policy(tmp_path / "none")


def test_the_reference_is_a_monte_carlo_search_of_equal_size(tmp_path, monkeypatch):
    asked_for = []
    search = training.monte_carlo_conformers

    def watched(molecule, count, **options):
        asked_for.append(count)
        return search(molecule, count, **options)

    monkeypatch.setattr(training, "monte_carlo_conformers", watched)
    train_policy(quick(updates=1, goal=9.0), tmp_path)
    assert asked_for and set(asked_for) == {5}
    asked_for.clear()
    train_policy(quick(updates=2, goal=9.0), tmp_path)
    assert len(asked_for) < 4  # those of molecules that were not played before


def test_an_evaluation_is_in_units_of_etkdg_and_names_failures(tmp_path, monkeypatch):
    policy = train_policy(quick(updates=1), tmp_path)
    # A policy that finds the same high conformer again and again is worse than any search.
    poor = "nnpmm.conformers.torsionnet.evaluation.torsionnet_conformers"

    def stuck(molecule, count, network, **options):
        if network is not policy:
            return torsionnet_conformers(molecule, count, network, **options)
        return np.repeat(0.1 * molecule.GetConformer().GetPositions()[None], count, axis=0)

    monkeypatch.setattr(poor, stuck)
    (row,) = evaluate_policy(policy, ["CCCCCO"], count=8, seeds=2)
    assert row.rotors == 4
    assert row.etkdg.mean == pytest.approx(1.0)
    assert row.policy.mean < row.untrained.mean < row.monte_carlo.mean
    card = policy.card.model_copy(update={"evaluation": (row,)})
    assert card.failures == (row,)
    assert policy.card.failures == ()
    with pytest.raises(ConfigError, match="found 1 seeds"):
        evaluate_policy(policy, ["CCCCCO"], seeds=1)


def test_unseen_alkanes_are_large_and_not_those_of_the_training(tmp_path):
    card = train_policy(quick(updates=1, most_rotors=5), tmp_path).card
    found = unseen_alkanes(card)
    assert not {*found} & {*unseen_alkanes(card.model_copy(update={"molecules": tuple(found)}))}
    bonds = [len(rotatable_bonds(Chem.AddHs(Chem.MolFromSmiles(smiles)))) for smiles in found]
    assert bonds == [5, 5, 5, 10, 10, 10]

"""Evaluation of a policy: its Gibbs scores and those of other searches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.conformers.distance_geometry import etkdg_conformers
from nnpmm.conformers.gibbs import GibbsReference, gibbs_score
from nnpmm.conformers.monte_carlo import monte_carlo_conformers
from nnpmm.conformers.rotors import rotatable_bonds
from nnpmm.conformers.screening import ForceField, with_conformers
from nnpmm.conformers.torsionnet.alkanes import branched_alkanes
from nnpmm.conformers.torsionnet.card import PolicyCard, Score, ScoredMolecule, TrainedPolicy
from nnpmm.conformers.torsionnet.generator import torsionnet_conformers
from nnpmm.conformers.torsionnet.policy import Policy
from nnpmm.core.errors import ConfigError
from nnpmm.structures import molecule_from_smiles

__all__ = ["evaluate_policy", "unseen_alkanes"]

_VARIANT = "MMFF94"
_PER_SIZE = 3  # alkanes of each size

_Array = NDArray[np.float64]


def unseen_alkanes(card: PolicyCard) -> list[str]:
    """Return SMILES of branched alkanes that a policy was not trained on.

    Three are as large as the largest of its training, and three have twice as many rotors.

    Args:
        card: of the policy.
    """
    most = card.training.most_rotors
    found = []
    for size in (most, 2 * most):
        drawn = branched_alkanes(2 * _PER_SIZE, rotors=(size, size), seed=card.training.seed + 1)
        found += [smiles for smiles in drawn if smiles not in card.molecules][:_PER_SIZE]
    return found


def evaluate_policy(
    policy: TrainedPolicy,
    molecules: Sequence[str],
    *,
    count: int = 200,
    seeds: int = 3,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[ScoredMolecule, ...]:
    """Return Gibbs scores of a policy and of three searches without learning.

    Each search finds ``count`` conformers, minimised with MMFF94, once for each seed. ETKDG is the
    unit: its mean score of a molecule is one. An untrained policy shows what training adds.

    Args:
        policy: trained.
        molecules: SMILES.
        count: number of conformers of each search.
        seeds: number of searches of each kind; two or more, for the standard errors.
        progress: called with the number of searches that are done, and their number.

    Raises:
        ConfigError: fewer than two seeds, or a molecule without rotatable bonds.
        InputFileError: a SMILES is wrong, or no conformer could be built.
    """
    if seeds < 2:
        raise ConfigError(f"found {seeds} seeds, of which a standard error needs 2 or more")
    searches = _searches(policy, count)
    total = len(molecules) * seeds * len(searches)
    rows: list[ScoredMolecule] = []
    for smiles in molecules:
        energies: dict[str, list[_Array]] = {name: [] for name in searches}
        found: dict[str, list[Chem.Mol]] = {name: [] for name in searches}
        for seed in range(seeds):
            molecule = molecule_from_smiles(smiles, seed=seed)
            field = ForceField(molecule, variant=_VARIANT)
            for name, search in searches.items():
                positions = search(molecule, seed)
                energies[name].append(field.energies(positions))
                found[name].append(with_conformers(molecule, positions))
                done = sum(map(len, found.values())) + len(rows) * seeds * len(searches)
                progress(done, total)
        rows.append(_scored(smiles, found, energies))
    return tuple(rows)


def _searches(policy: TrainedPolicy, count: int) -> dict[str, Callable[[Chem.Mol, int], _Array]]:
    training = policy.card.training
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        untrained = TrainedPolicy(policy.card, Policy(training.policy).eval())

    def etkdg(molecule: Chem.Mol, seed: int) -> _Array:
        field = ForceField(molecule, variant=_VARIANT)
        starts = etkdg_conformers(molecule, count, seed=seed)
        return np.array([field.relax(start, steps=training.relaxation)[0] for start in starts])

    def monte_carlo(molecule: Chem.Mol, seed: int) -> _Array:
        apart = training.threshold
        return monte_carlo_conformers(molecule, count, seed=seed, apart=apart, variant=_VARIANT)

    def guided_by(network: TrainedPolicy) -> Callable[[Chem.Mol, int], _Array]:
        return lambda molecule, seed: torsionnet_conformers(
            molecule, count, network, seed=seed, variant=_VARIANT
        )

    return {
        "etkdg": etkdg,
        "monte_carlo": monte_carlo,
        "untrained": guided_by(untrained),
        "policy": guided_by(policy),
    }


def _scored(
    smiles: str, found: dict[str, list[Chem.Mol]], energies: dict[str, list[_Array]]
) -> ScoredMolecule:
    """Return the scores of a molecule in units of the mean score of ETKDG."""
    lowest = GibbsReference(min(float(e.min()) for each in energies.values() for e in each))
    scores = {
        name: np.array(
            [gibbs_score(m, e, lowest) for m, e in zip(found[name], energies[name], strict=True)]
        )
        for name in found
    }
    unit = scores["etkdg"].mean()
    relative = {name: each / unit for name, each in scores.items()}
    return ScoredMolecule(
        smiles=smiles,
        rotors=len(rotatable_bonds(found["etkdg"][0])),
        **{name: _mean(each) for name, each in relative.items()},
    )


def _mean(values: _Array) -> Score:
    return Score(mean=values.mean(), error=values.std(ddof=1) / np.sqrt(len(values)))

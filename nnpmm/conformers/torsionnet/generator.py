"""Conformers by a trained policy."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem

from nnpmm.conformers.gibbs import GibbsReference
from nnpmm.conformers.torsionnet.card import TrainedPolicy
from nnpmm.conformers.torsionnet.environment import Episode, Task
from nnpmm.conformers.torsionnet.ppo import play

__all__ = ["torsionnet_conformers"]


def torsionnet_conformers(
    molecule: Chem.Mol,
    count: int,
    policy: TrainedPolicy,
    *,
    seed: int = 0,
    variant: str = "MMFF94s",
) -> NDArray[np.float64]:
    """Return conformers (count, n, 3), nm, minimised with a force field, that a policy finds.

    The search runs in parallel episodes about as long as those of the training, each from its own
    conformer of distance geometry.

    Args:
        molecule: n atoms, hydrogens explicit, with a conformer.
        count: of conformers.
        policy: trained.
        seed: the same gives the same conformers.
        variant: of MMFF94, or UFF where it lacks an atom type.

    Raises:
        ConfigError: the molecule has nothing to turn, or no force field knows all its atoms.
        InputFileError: no conformer could be built.
    """
    training = policy.card.training
    task = Task.of(
        molecule,
        GibbsReference(0.0),
        variant=variant,
        thermal_energy=training.thermal_energy,
        threshold=training.threshold,
        relaxation=training.relaxation,
    )
    walkers = max(1, round(count / (training.steps + 1)))
    steps = math.ceil(count / walkers) - 1
    seeds = np.random.default_rng(seed).integers(2**31, size=walkers).tolist()
    games = [Episode(task, steps, seed=each) for each in seeds]
    generator = torch.Generator().manual_seed(seed)
    play(policy.network, [task.graph] * walkers, games, generator)
    found = np.array([game.positions for game in games]).swapaxes(0, 1)
    return found.reshape(-1, *found.shape[2:])[:count]

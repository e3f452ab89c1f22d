"""A trained policy: its weights and its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from nnpmm._version import __version__
from nnpmm.conformers.torsionnet.policy import Policy
from nnpmm.conformers.torsionnet.settings import TrainingSettings
from nnpmm.core.arrays import Card, load_card, save_card
from nnpmm.core.section import Section
from nnpmm.learning.weights import as_arrays, load_file_into

__all__ = [
    "POLICY_FILE",
    "SEARCHES",
    "PolicyCard",
    "Score",
    "ScoredMolecule",
    "TrainedPolicy",
    "load_policy",
]

#: Name of a policy's card in the folder of its training.
POLICY_FILE = "policy.json"
#: Searches of an evaluation: fields of `ScoredMolecule`, and their titles in tables.
SEARCHES = {
    "etkdg": "ETKDG",
    "monte_carlo": "Monte Carlo",
    "untrained": "untrained",
    "policy": "policy",
}


class Score(Section):
    """Gibbs scores over independent searches, in units of the mean score of ETKDG."""

    mean: float
    error: float = Field(description="standard error of the mean")


class ScoredMolecule(Section):
    """Scores of one molecule by several searches with as many conformers each."""

    smiles: str
    rotors: int = Field(description="number of rotatable bonds")
    etkdg: Score
    monte_carlo: Score
    untrained: Score = Field(description="of the same network with random weights")
    policy: Score

    def scores(self) -> dict[str, Score]:
        """Return the scores by the names of `SEARCHES`."""
        return {name: getattr(self, name) for name in SEARCHES}


class PolicyCard(Card):
    """Training and evaluation of a policy, stored with its weights."""

    nnpmm: str = Field(__version__, description="version that trained it")
    training: TrainingSettings
    molecules: tuple[str, ...] = Field(description="SMILES of those that it has played")
    curve: tuple[tuple[float, ...], ...] = Field(
        description="of each update: molecules in use, mean score, that of the hardest half"
    )
    evaluation: tuple[ScoredMolecule, ...] = Field(
        (), description="scores of molecules that it was not trained on"
    )

    @property
    def failures(self) -> tuple[ScoredMolecule, ...]:
        """The molecules for which a search without learning scores higher."""
        return tuple(
            row
            for row in self.evaluation
            if row.policy.mean < max(score.mean for score in row.scores().values())
        )


@dataclass(frozen=True, eq=False)
class TrainedPolicy:
    """A policy that can be used.

    Attributes:
        card: its training and evaluation.
        network: returns logits and values.
    """

    card: PolicyCard
    network: Policy

    def save(self, path: Path) -> None:
        """Write ``NAME.json`` and ``NAME.safetensors``.

        Raises:
            ConfigError: the name does not end in .json.
            UnwritableError: a file cannot be written.
        """
        save_card(path, self.card, as_arrays(self.network))


def load_policy(path: Path) -> TrainedPolicy:
    """Read a policy.

    Args:
        path: ``NAME.json``, or the folder of its training.

    Raises:
        InputFileError: a file is missing, damaged, or does not belong to the other.
    """
    if path.is_dir():
        path = path / POLICY_FILE
    card, arrays = load_card(path, PolicyCard)
    network = Policy(card.training.policy)
    load_file_into(network, arrays, path)
    return TrainedPolicy(card, network.eval())

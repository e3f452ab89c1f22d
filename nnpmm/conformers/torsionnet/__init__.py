"""Conformers by reinforcement learning, after TorsionNet."""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.conformers.torsionnet.alkanes import branched_alkanes
    from nnpmm.conformers.torsionnet.card import PolicyCard, TrainedPolicy, load_policy
    from nnpmm.conformers.torsionnet.evaluation import evaluate_policy, unseen_alkanes
    from nnpmm.conformers.torsionnet.generator import torsionnet_conformers
    from nnpmm.conformers.torsionnet.settings import TrainingSettings, settings_template
    from nnpmm.conformers.torsionnet.training import train_policy

__all__ = [
    "PolicyCard",
    "TrainedPolicy",
    "TrainingSettings",
    "branched_alkanes",
    "evaluate_policy",
    "load_policy",
    "settings_template",
    "torsionnet_conformers",
    "train_policy",
    "unseen_alkanes",
]

lazy_names(
    __name__,
    {
        "PolicyCard": "nnpmm.conformers.torsionnet.card",
        "TrainedPolicy": "nnpmm.conformers.torsionnet.card",
        "TrainingSettings": "nnpmm.conformers.torsionnet.settings",
        "branched_alkanes": "nnpmm.conformers.torsionnet.alkanes",
        "evaluate_policy": "nnpmm.conformers.torsionnet.evaluation",
        "load_policy": "nnpmm.conformers.torsionnet.card",
        "settings_template": "nnpmm.conformers.torsionnet.settings",
        "torsionnet_conformers": "nnpmm.conformers.torsionnet.generator",
        "train_policy": "nnpmm.conformers.torsionnet.training",
        "unseen_alkanes": "nnpmm.conformers.torsionnet.evaluation",
    },
)

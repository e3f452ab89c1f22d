"""The applicability domain of a model: whether a molecule resembles those of the training.

Size, shape, types of beads and lipid are checked before simulations, and the ranges of features
after them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnpmm.learning import feature_columns
from nnpmm.permeation.features import FEATURE_NAMES
from nnpmm.permeation.martini.force_field import MoleculeType
from nnpmm.permeation.martini.solute import parse_solute
from nnpmm.permeation.networks.model_card import PermeationCard

__all__ = ["Verdict", "check_features", "check_solute"]

Level = Literal["inside", "warning", "refused"]

#: Distances of a feature's mean from the range of the training, in units of that range, above which
#: there is a warning or a refusal.
_WARNED, _REFUSED = 0.0, 0.5
#: A network trained on dimers predicts trimers fairly well (Dutta et al. 2023). There are no such
#: results for longer molecules.
_BEADS_BEYOND = 1


@dataclass(frozen=True)
class Verdict:
    """Whether a prediction can be trusted, and every reason why it cannot."""

    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """The worst of what was found."""
        if self.refusals:
            return "refused"
        return "warning" if self.warnings else "inside"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Refusals, then warnings."""
        return (*self.refusals, *self.warnings)

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(self.warnings + other.warnings, self.refusals + other.refusals)


def check_solute(card: PermeationCard, graph: str, lipid: str) -> Verdict:
    """Compare a solute and a lipid with those of the training.

    The verdict refuses a lipid that the training did not contain, and solutes that are smaller or
    larger than all of its solutes by more than a bead. It warns of other differences in size, and
    of new shapes and types of beads.
    """
    samples = [name.partition("/") for name in card.data.train]  # such as DOPC/C1-P4
    known = [parse_solute(graph) for _, _, graph in samples]
    lipids = sorted({name for name, _, _ in samples})
    solute = parse_solute(graph)
    warnings, refusals = [], []
    if lipid not in lipids:
        refusals.append(f"{lipid}: the model was trained on {', '.join(lipids)}")
    sizes = sorted({len(kind.beads) for kind in known})
    size, allowed = len(solute.beads), (max(1, sizes[0] - _BEADS_BEYOND), sizes[-1] + _BEADS_BEYOND)
    trained = f"the model was trained on {', '.join(map(str, sizes))}"
    if not allowed[0] <= size <= allowed[1]:
        refusals.append(f"{size} beads: {trained}, allowed {allowed[0]} to {allowed[1]}")
    elif size not in sizes:
        warnings.append(f"{size} beads: {trained}")
    shapes = {_shape(kind) for kind in known}
    if _shape(solute) not in shapes:
        warnings.append(
            f"a {_shape(solute)}: the model was trained on {'s and '.join(sorted(shapes))}s"
        )
    types = {bead.type for kind in known for bead in kind.beads}
    strange = sorted({bead.type for bead in solute.beads} - types)
    if strange:
        warnings.append(f"beads {', '.join(strange)}: the model was not trained on them")
    return Verdict(tuple(warnings), tuple(refusals))


def _shape(kind: MoleculeType) -> str:
    neighbours = np.bincount(
        np.array([(bond.i, bond.j) for bond in kind.bonds], dtype=np.int64).ravel(),
        minlength=len(kind.beads),
    )
    if len(kind.bonds) >= len(kind.beads):
        return "ring"
    return "chain" if neighbours.max() <= 2 else "branched graph"


def check_features(card: PermeationCard, features: NDArray[np.floating]) -> Verdict:
    """Compare the means of the features that a model sees with the ranges of the training.

    The verdict warns of a mean outside of the range, and refuses one that is outside by more than
    half of the range.

    Args:
        card: of the model.
        features: (frames, 8), columns as in ``features.FEATURES``.
    """
    low, high = np.array(card.minimum), np.array(card.maximum)
    seen = features[:, feature_columns(card.network, FEATURE_NAMES)]
    means = seen.astype(np.float64).mean(axis=0)
    beyond = np.maximum(low - means, means - high) / (high - low)
    warnings: list[str] = []
    refusals: list[str] = []
    for n in np.flatnonzero(beyond > _WARNED):
        text = (
            f"{card.network.features[n]} is {means[n]:.4g} on average, {low[n]:.4g} to "
            f"{high[n]:.4g} in the training"
        )
        (refusals if beyond[n] > _REFUSED else warnings).append(text)
    return Verdict(tuple(warnings), tuple(refusals))

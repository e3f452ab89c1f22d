"""Published accuracy of networks for permeation, to compare our own with.

Dutta, Jain, Gupta and Rai, Digital Discovery 2023: trained on 510 samples of dimers in six
lipids, tested on 63 others and on 50 trimers in DOPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["PUBLISHED", "Published"]


class Published(NamedTuple):
    """Published results of a network.

    Attributes:
        networks: our names of the networks that it holds for.
        beads: of the solutes.
        nanoseconds: of each trajectory.
        scores: by the names of `nnpmm.learning.Metrics`, kcal/mol, as printed there.
    """

    networks: tuple[str, ...]
    beads: int
    nanoseconds: int
    scores: Mapping[str, str]


PUBLISHED = (
    Published(("model-l", "model-la"), 2, 21, {"largest": "1.5-1.7", "r2": "0.99"}),
    Published(("dnn",), 2, 21, {"mae": "0.95"}),
    Published(("model-la",), 3, 21, {"r2": "0.82", "pearson": "0.969", "spearman": "0.967"}),
    Published(("model-la",), 3, 6, {"mae": "1.68", "r2": "0.76"}),
)

"""The octanol/water logP of a molecule: the mean of two estimates with independent errors.

One is the sum of Crippen's contributions with three coefficients (`octanol.atomic_log_p`). The
other is the mean of four graph networks, which were pretrained on lipophilicity and trained on
logP. For molecules that were not used for either, the mean has smaller errors than each of them;
docs/validation/graphs.md lists the errors.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rdkit import Chem

from nnpmm.permeation.mapping.octanol import atomic_log_p

if TYPE_CHECKING:
    from nnpmm.graphs import PropertyModel

__all__ = ["LogP", "estimate_log_p"]

_MODEL = Path(__file__).parent / "logp.json"


class LogP(NamedTuple):
    """A logP and its standard deviation.

    Attributes:
        value: octanol/water.
        error: from the spread of the networks, calibrated on molecules not used for training.
    """

    value: float
    error: float


def estimate_log_p(molecule: Chem.Mol) -> LogP:
    """Return the estimate of a molecule's octanol/water logP.

    Args:
        molecule: hydrogens implicit, as ``molecules.read_molecule`` returns it.
    """
    values, errors = _model().predict([Chem.MolToSmiles(molecule)])
    assert errors is not None  # the model has several members
    contributions = float(atomic_log_p(molecule).sum())
    return LogP(0.5 * (contributions + float(values[0])), float(errors[0]))


@lru_cache(maxsize=1)
def _model() -> PropertyModel:
    from nnpmm.graphs import load_property_model

    return load_property_model(_MODEL)

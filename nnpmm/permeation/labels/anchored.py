"""Absolute free energies of all solutes, from relative ones and direct ones of a few solutes.

With relative free energies r of every solute in membrane minus water, and direct dG of anchors a,

    dG(k) = sum over a of w_a [ dG(a) + r(k) - r(a) ],   w_a = s_a^-2 / sum s^-2.

The variance is the sum of that of the anchors, sum w_a^2 s_a^2, and that of r(k) - sum w_a r(a).
The residual of an anchor is its direct value minus the prediction of the other anchors. If anchors
disagree by more than their errors, these are multiplied by the scale factor of the Particle Data
Group, S = sqrt(chi^2 / (n - 1)) if above 1 (Workman et al., PTEP 2022, 083C01).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nnpmm.core.constants import KJ_PER_KCAL
from nnpmm.core.errors import ConfigError
from nnpmm.freeenergy.estimators import contrast_error
from nnpmm.permeation.labels.linear import LinearEstimate

__all__ = [
    "Anchor",
    "Label",
    "Residual",
    "anchor_residuals",
    "anchored_labels",
    "error_scale",
]


@dataclass(frozen=True)
class Anchor:
    """A direct dG = G(midplane) - G(water) and its standard deviation, kcal/mol."""

    free_energy: float
    error: float


@dataclass(frozen=True)
class Label:
    """dG = G(midplane) - G(water) of a solute, kcal/mol.

    Attributes:
        solute: its graph.
        free_energy: dG.
        error: one standard deviation.
        effective_samples: of MBAR, the smaller of those in membrane and water.
    """

    solute: str
    free_energy: float
    error: float
    effective_samples: float


@dataclass(frozen=True)
class Residual:
    """Direct value of an anchor minus the prediction of the others, kcal/mol, and its error."""

    solute: str
    difference: float
    error: float


def anchored_labels(
    membrane: LinearEstimate, water: LinearEstimate, anchors: Mapping[str, Anchor]
) -> list[Label]:
    """Return dG of every solute in both estimates, in the order of the first.

    Args:
        membrane: relative free energies at the midplane.
        water: relative free energies in water.
        anchors: direct values of some of these solutes; one is enough.

    Raises:
        ConfigError: there is no anchor, or one is not among the solutes.
    """
    names = [name for name in membrane.solutes if name in water.solutes]
    if not anchors or not set(anchors) <= set(names):
        raise ConfigError(
            f"found the anchors {', '.join(anchors) or 'none'}, expected at least one of the "
            "solutes with relative free energies; run nnpmm permeation label decouple"
        )
    scale = error_scale(membrane, water, anchors)
    anchors = {name: Anchor(a.free_energy, scale * a.error) for name, a in anchors.items()}
    labels = []
    for name in names:
        value, variance = _predict(membrane, water, anchors, name)
        samples = min(
            float(estimate.effective[estimate.solutes.index(name)])
            for estimate in (membrane, water)
        )
        labels.append(Label(name, value, float(np.sqrt(variance)), samples))
    return labels


def error_scale(
    membrane: LinearEstimate, water: LinearEstimate, anchors: Mapping[str, Anchor]
) -> float:
    """Return the factor, at least 1, by which errors of anchors are too small for their scatter."""
    if len(anchors) < 2:
        return 1.0
    direct = np.array([anchor.free_energy for anchor in anchors.values()])
    errors = np.array([anchor.error for anchor in anchors.values()])
    relative = np.zeros(len(anchors))
    for sign, estimate in ((1.0, membrane), (-1.0, water)):
        states = [estimate.solutes.index(name) for name in anchors]
        relative += sign * estimate.differences[states[0], states] / KJ_PER_KCAL
    offsets = direct - relative
    mean = np.average(offsets, weights=errors**-2)
    return max(1.0, float(np.sqrt(np.sum(((offsets - mean) / errors) ** 2) / (len(anchors) - 1))))


def anchor_residuals(
    membrane: LinearEstimate, water: LinearEstimate, anchors: Mapping[str, Anchor]
) -> list[Residual]:
    """Return the difference of each of two or more anchors from the prediction of the others."""
    residuals = []
    for name, anchor in anchors.items():
        others = {other: value for other, value in anchors.items() if other != name}
        if others:
            value, variance = _predict(membrane, water, others, name)
            error = float(np.sqrt(variance + anchor.error**2))
            residuals.append(Residual(name, anchor.free_energy - value, error))
    return residuals


def _predict(
    membrane: LinearEstimate, water: LinearEstimate, anchors: Mapping[str, Anchor], name: str
) -> tuple[float, float]:
    """Return dG of one solute, kcal/mol, and its variance."""
    direct = np.array([anchor.free_energy for anchor in anchors.values()])
    errors = np.array([anchor.error for anchor in anchors.values()])
    weights = errors**-2 / np.sum(errors**-2)
    value, variance = float(weights @ direct), float(weights**2 @ errors**2)
    for sign, estimate in ((1.0, membrane), (-1.0, water)):
        state = estimate.solutes.index(name)
        spread = np.zeros(len(estimate.solutes))
        spread[[estimate.solutes.index(anchor) for anchor in anchors]] = weights
        value -= sign * float(spread @ estimate.differences[state]) / KJ_PER_KCAL
        own = np.eye(len(spread))[state]
        variance += (contrast_error(estimate.errors, own - spread) / KJ_PER_KCAL) ** 2
    return value, variance

"""Atomic charges add up to the charge of the molecule."""

from __future__ import annotations

import numpy as np

from nnpmm.models.validation.check import Check, Measurement, NotApplicable
from nnpmm.models.validation.probe import Probe

__all__ = ["TOTAL_CHARGE"]


def _measure(probe: Probe) -> Measurement:
    charges = getattr(probe.evaluator, "charges", None)
    if charges is None:
        raise NotApplicable("the model has no atomic charges")
    sums = [float(np.sum(charges(each))) for each in (probe.positions, probe.minimum)]
    worst = max(sums, key=lambda total: abs(total - probe.charge))
    note = f"charges add up to {worst:+.4f} e, expected {probe.charge:+d}"
    return Measurement(abs(worst - probe.charge), note)


TOTAL_CHARGE = Check(
    "total charge",
    _measure,
    unit="e",
    good=1e-3,
    bad=1e-2,
    figure="deviation of the sum of atomic charges from the charge of the molecule",
    beyond="the total charge is wrong, and so are electrostatics",
)
